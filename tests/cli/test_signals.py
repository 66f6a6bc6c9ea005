"""What other users send must move nothing: a signal counts only when the bus says that it comes from the owner of org.runbookd1, and who that is only the bus driver may say.

How it is seen: `start --wait` asks for the state when a signal that it believes arrives, and otherwise every few seconds. After each forged signal it is pinged: its answer comes
after the signal was handled."""

import os
import signal
import time

import dbus
import dbus.lowlevel

from cli_harness import NAME, PATH, TestCase, main, run_as, wait_until

NOBODY = 65534
ROUNDS = 5


def forge(address, victim, run_path, owner):
    """As somebody else: every signal that runbookctl listens to, straight to its connection."""
    connection = dbus.bus.BusConnection(address)
    connection.set_exit_on_disconnect(False)
    me = connection.get_unique_name()

    def send(path, interface, member, signature, *args):
        m = dbus.lowlevel.SignalMessage(path, interface, member)
        m.set_destination(victim)
        m.append(*args, signature=signature)
        connection.send_message(m)
        connection.call_blocking(victim, '/', 'org.freedesktop.DBus.Peer', 'Ping', '', ())

    state = dbus.Dictionary({'State': 'success'}, signature='sv')
    for _ in range(ROUNDS):
        for change in ((NAME, owner, ''), (NAME, '', me), (NAME, owner, me)):
            send('/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', 'sss', *change)
        send(run_path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', NAME + '.Run', state, dbus.Array([], signature='s'))
        send(run_path + '/activity/qa', 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', NAME + '.Activity', state, dbus.Array([], signature='s'))
        send(PATH, NAME + '.Manager', 'RunFinished', 'uoss', dbus.UInt32(5), run_path, 'ship', 'success')
        send(PATH, NAME + '.Manager', 'RunAdded', 'uo', dbus.UInt32(5), run_path)
        send(PATH, NAME + '.Manager', 'RunRemoved', 'uo', dbus.UInt32(5), run_path)
        send(PATH, NAME + '.Manager', 'InputRequired', 'uossssast', dbus.UInt32(5), run_path, 'ship', 'qa', 'approval', 'x', dbus.Array([], signature='s'), dbus.UInt64(0))
        send(PATH, NAME + '.Manager', 'RequestResolved', 'osu', run_path + '/activity/qa', 'approved', dbus.UInt32(0))
    connection.close()
    return 'sent'


def flood(address, victim, process, count):
    """While the process is stopped, this many signals for it and behind them a ping; then it goes on. When its answer came."""
    connection = dbus.bus.BusConnection(address)
    connection.set_exit_on_disconnect(False)
    process.send_signal(signal.SIGSTOP)
    for _ in range(count):
        m = dbus.lowlevel.SignalMessage(PATH, NAME + '.Manager', 'RunRemoved')
        m.set_destination(victim)
        m.append(dbus.UInt32(5), PATH + '/run/5', signature='uo')
        connection.send_message(m)
    ping = dbus.lowlevel.MethodCallMessage(victim, '/', 'org.freedesktop.DBus.Peer', 'Ping')
    connection.send_message(ping)
    connection.flush()
    connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False).GetId(dbus_interface='org.freedesktop.DBus')       # the bus has them all
    process.send_signal(signal.SIGCONT)
    connection.call_blocking(victim, '/', 'org.freedesktop.DBus.Peer', 'Ping', '', ())
    answered = time.monotonic()
    connection.close()
    return answered


class Forged(TestCase):
    def victim(self, process):
        """The unique name of a process on the bus."""
        driver = self.fake.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False)

        def find():
            for name in driver.ListNames(dbus_interface='org.freedesktop.DBus'):
                if name.startswith(':') and driver.GetConnectionUnixProcessID(name, dbus_interface='org.freedesktop.DBus') == process.pid:
                    return str(name)
            return None
        return wait_until(find, 'its connection')

    def owner(self):
        driver = self.fake.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False)
        return str(driver.GetNameOwner(NAME, dbus_interface='org.freedesktop.DBus'))

    def looks(self, run):
        return [c for c in self.fake.calls('Get') if c['path'] == '/org/runbookd1/run/%d' % run]

    def forge(self, p, run):
        args = (self.fake.bus.address, self.victim(p), '/org/runbookd1/run/%d' % run, self.owner())
        return run_as(NOBODY, forge, *args) if os.getuid() == 0 else forge(*args)

    def test_wait(self):
        self.fake.auto()
        self.fake.calls()
        before = self.fake.last()
        p = self.fake.popen('start', 'ship', '--wait')
        self.addCleanup(p.kill)
        run = wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')
        seen = []
        wait_until(lambda: seen.extend(self.looks(run)) or seen, 'the first look')

        # Each real one is a look ...
        for _ in range(3):
            self.fake.beat(run, 'work')
            wait_until(lambda: self.looks(run), 'a look after a real signal')
        # ... and of the forged ones none; one may be the look that comes every few seconds anyway.
        self.assertEqual(self.forge(p, run), 'sent')
        self.assertLessEqual(len(self.looks(run)), 1)
        self.assertIsNone(p.poll())
        # The forger has not become the owner: the real one is still believed.
        self.fake.beat(run, 'work')
        wait_until(lambda: self.looks(run), 'a look after a real signal')
        self.fake.beat(run, 'end')
        self.assertEqual(p.communicate()[0], 'Run %d (ship) ended: success\n' % run)

    def test_watch_and_follow_say_nothing(self):
        for args in (('watch',), ('start', 'ship', '--follow')):
            self.fake.auto()
            before = self.fake.last()
            p = self.fake.popen(*args)
            self.addCleanup(p.kill)
            first = p.stdout.readline()
            self.assertTrue(first)
            run = self.fake.last() if self.fake.last() > before else 2
            self.assertEqual(self.forge(p, run), 'sent')
            self.assertIsNone(p.poll())
            p.terminate()
            out, err = p.communicate()
            self.assertNotIn('success', out)
            self.assertNotIn('away', err)

    def test_a_flood_does_not_keep_it_from_looking(self):
        """It looks as often as it should while it handles all that has arrived, and not more often."""
        p = self.fake.popen('logs', '-f', '2')
        self.addCleanup(p.kill)
        wait_until(lambda: self.fake.calls('GetHistory'), 'the first look')
        victim = self.victim(p)
        # How long so many signals keep it busy depends on the machine, so they become more until some looks fit in: who is kept from looking never gets there.
        for count in (10000, 20000, 40000, 80000, 160000):
            self.fake.calls()
            begun = time.monotonic()
            answered = flood(self.fake.bus.address, victim, p, count)
            looks = [c['time'] for c in self.fake.calls('GetHistory')]
            self.assertLess(len(looks), (time.monotonic() - begun) / 0.2 + 3)
            if len([t for t in looks if t < answered]) > 3:
                return
        self.fail('it did not look while it handled all that had arrived')

    def test_a_busy_daemon_does_not_keep_it_from_looking(self):
        """COALESCED_MAX: many changes are one look, but not all of them."""
        p = self.fake.popen('logs', '-f', '2')
        self.addCleanup(p.kill)
        wait_until(lambda: self.fake.calls('GetHistory'), 'the first look')
        victim = self.victim(p)
        p.send_signal(signal.SIGSTOP)
        self.fake.test('Flood', 'uu', dbus.UInt32(2), dbus.UInt32(20000))
        self.fake.calls()
        p.send_signal(signal.SIGCONT)
        self.fake.connection.call_blocking(victim, '/', 'org.freedesktop.DBus.Peer', 'Ping', '', (), timeout=60.0)
        answered = time.monotonic()
        looks = [c['time'] for c in self.fake.calls('GetHistory') if c['time'] < answered]
        self.assertGreater(len(looks), 20000 / 256 / 2)
        self.assertLess(len(looks), 20000 / 256 * 2)

    def test_a_new_owner_is_believed(self):
        """The driver's own word counts: the daemon goes, another comes, and its signals are heard."""
        p = self.fake.popen('watch', '2')
        self.addCleanup(p.kill)
        self.assertIn('qa', p.stdout.readline())
        self.fake.kill()
        self.assertIn('away', p.stderr.readline())
        self.fake.start()
        self.assertIn('back', p.stderr.readline())
        self.assertIsNone(p.poll())


if __name__ == '__main__':
    main()
