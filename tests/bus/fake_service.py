"""A program that plays a service on a bus, for the test that has started it: serve() is the program, and FakeService who starts it. Without start() there is no such service."""
import os
import subprocess
import sys

import dbus.bus
import dbus.mainloop.glib


def serve(address, name, make):
    """make(connection): the object, exported."""
    from gi.repository import GLib
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(address)
    connection.set_exit_on_disconnect(True)
    fake = make(connection)
    connection.request_name(name)
    print(fake.connection.get_unique_name(), flush=True)
    GLib.MainLoop().run()


def end_process(process):
    """Of one that may not be there; what is there afterwards: nothing."""
    if process:
        process.kill()
        process.wait()
        process.stdout.close()


class FakeService:
    def __init__(self, bus, program, name, path, interface):
        self.bus = bus
        self.program = os.path.abspath(program)
        self.name, self.path, self.interface = name, path, interface
        self.process = None
        self.connection = None

    def start(self):
        self.process = subprocess.Popen([sys.executable, self.program, self.bus.address], stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise AssertionError('%s did not start' % self.program)
        self.connection = self.connection or self.bus.connect()
        return self

    def stop(self):
        self.process = end_process(self.process)

    def close(self):
        self.stop()
        if self.connection:
            self.connection.close()
            self.connection = None

    def control(self, method, signature='', *args):
        return self.connection.call_blocking(self.name, self.path, self.interface, method, signature, args)
