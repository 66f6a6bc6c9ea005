"""Nobody can make the daemon believe something by sending it signals or answers in the name of the bus. Needs root, to be another user."""
import os
import unittest

import dbus
import dbus.lowlevel

import harness
from harness import ASK, HELLO, MANAGER, NAME, NOBODY, PATH, PROPERTIES, RUN

DRIVER = 'org.freedesktop.DBus'


def forgeries(unique, owner):
    """Signals that someone might listen to, addressed to the daemon alone."""
    made = []

    def add(path, interface, member, signature, *args):
        m = dbus.lowlevel.SignalMessage(path, interface, member)
        m.set_destination(unique)
        m.append(*args, signature=signature)
        made.append(m)
    add('/org/freedesktop/DBus', DRIVER, 'NameOwnerChanged', 'sss', NAME, unique, '')
    add('/org/freedesktop/DBus', DRIVER, 'NameOwnerChanged', 'sss', owner, owner, '')
    add('/org/freedesktop/DBus', DRIVER, 'NameLost', 's', NAME)
    add('/org/freedesktop/DBus', DRIVER, 'NameAcquired', 's', NAME)
    add('/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager', 'JobRemoved', 'uoss', 1, '/org/freedesktop/systemd1/job/1', 'runbook-1-a.service', 'done')
    add('/org/freedesktop/systemd1/unit/x', PROPERTIES, 'PropertiesChanged', 'sa{sv}as', 'org.freedesktop.systemd1.Unit', {'ActiveState': 'failed'}, [])
    add(PATH, MANAGER, 'RunFinished', 'uoss', 1, PATH + '/run/1', 'ask', 'success')
    add(PATH, MANAGER, 'RequestResolved', 'osu', PATH + '/run/1/activity/sign_2doff', 'approved', 0)
    add(PATH, MANAGER, 'InputRequired', 'uossssast', 1, PATH + '/run/1/activity/sign_2doff', 'ask', 'sign-off', 'approval', 'x', ['root'], 0)
    return made


def forge(address, unique, owner):
    """Sends all signals, and answers to calls that the daemon may have open; then asks something, so that all has been taken in. What could not be sent is counted."""
    connection = dbus.bus.BusConnection(address)
    refused = 0
    for m in forgeries(unique, owner):
        connection.send_message(m)
    local = dbus.lowlevel.SignalMessage('/org/freedesktop/DBus/Local', DRIVER + '.Local', 'Disconnected')
    local.set_destination(unique)
    for _ in range(300):                        # each call has the next serial, and each answer the serial of its call: those of calls that the daemon made are among them
        call = dbus.lowlevel.MethodCallMessage(DRIVER, '/org/freedesktop/DBus', DRIVER, 'GetId')
        connection.send_message(call)
        reply = dbus.lowlevel.MethodReturnMessage(call)
        reply.set_destination(unique)
        reply.append({'UnixUserID': dbus.UInt32(0)}, signature='a{sv}')
        connection.send_message(reply)
    connection.flush()
    connection.call_blocking(DRIVER, '/org/freedesktop/DBus', DRIVER, 'GetId', '', ())
    try:                                        # the bus throws out who sends this
        connection.set_exit_on_disconnect(False)
        connection.send_message(local)
        connection.flush()
        connection.call_blocking(DRIVER, '/org/freedesktop/DBus', DRIVER, 'GetId', '', ())
    except dbus.DBusException:
        refused += 1
    return refused


class Forged(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.write_runbook('ask', ASK)
        cls.daemon.write_runbook('hello', HELLO)

    def check(self, uid):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        driver = self.daemon.connection.get_object(DRIVER, '/org/freedesktop/DBus', introspect=False)
        unique = driver.GetNameOwner(NAME, dbus_interface=DRIVER)
        pid = self.daemon.process.pid
        before = len(run.history())
        harness.run_as(uid, forge, self.daemon.bus.address, str(unique), self.daemon.connection.get_unique_name())
        self.assertEqual(run.get('State'), 'on-hold')
        self.assertEqual(len(run.history()), before)
        self.assertIsNone(self.daemon.process.poll())
        self.assertEqual(self.daemon.owner_pid(), pid)
        self.assertEqual(driver.GetNameOwner(NAME, dbus_interface=DRIVER), unique)
        self.assertEqual(self.daemon.start_run('hello').wait_ended(), 'success')
        run.approve('sign-off')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.daemon.get(run.path, RUN, 'StartedBy'), os.getuid())

    @unittest.skipUnless(os.getuid() == 0, 'needs root')
    def test_by_nobody(self):
        self.check(NOBODY)

    @unittest.skipUnless(os.getuid() == 0, 'needs root')
    def test_by_the_same_user(self):
        self.check(os.getuid())


if __name__ == '__main__':
    harness.main()
