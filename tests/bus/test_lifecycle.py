"""Starting, stopping, configuration, the lock, the bus going away, the disk filling up, and the log."""
import os
import resource
import signal
import socket
import subprocess
import tempfile

import dbus

import harness
from harness import ASK, HELLO, MANAGER, PATH

LOG_CONTROL = ('/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1')
EXIT_CONFIGURATION = 78


def running(daemon, name='go'):
    daemon.write_runbook('wait', harness.waiting_runbook(daemon.scratch, name))
    run = daemon.start_run('wait')
    run.wait_activity('wait', 'running')
    return run


def touch(daemon, name='go'):
    with open(os.path.join(daemon.scratch, name), 'w', encoding='utf-8'):
        pass


class CommandLine(harness.unittest.TestCase):
    def invoke(self, *args, **env):
        return subprocess.run([harness.program('runbookd', 'daemon'), *args], capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C.UTF-8', **env}, timeout=harness.WAIT, check=False)

    def test_help_and_version(self):
        p = self.invoke('--help')
        self.assertEqual(p.returncode, 0)
        for option in ('--user', '--system', '--state-directory', '--config', '--log-level', '--help', '--version'):
            self.assertIn(option, p.stdout)
        self.assertTrue(all(len(line) <= 80 for line in p.stdout.splitlines()))
        p = self.invoke('--version')
        self.assertRegex(p.stdout, r'^runbookd \d+\.\d+')
        self.assertEqual((p.returncode, p.stderr), (0, ''))

    def test_wrong_options(self):
        for args in (('--nosuch',), ('argument',), ('--log-level=loud',)):
            p = self.invoke(*args)
            self.assertEqual((p.returncode, p.stdout), (64, ''))
            self.assertIn('--help', p.stderr)

    def test_no_bus(self):
        with tempfile.TemporaryDirectory() as d:
            p = self.invoke('--user', DBUS_SESSION_BUS_ADDRESS='unix:path=%s/nothing' % d, HOME=d, XDG_STATE_HOME=d, XDG_CONFIG_HOME=d, XDG_DATA_HOME=d, XDG_RUNTIME_DIR=d)
            self.assertEqual(p.returncode, 1)
            self.assertIn('session bus', p.stderr)


class Configuration(harness.unittest.TestCase):
    def start(self, *args, **kwargs):
        d = harness.Daemon(args=args, **kwargs)
        self.addCleanup(d.close)
        return d.start(wait=False)

    def test_missing_file(self):
        d = harness.Daemon()
        self.addCleanup(d.close)
        path = os.path.join(d.scratch, 'missing.conf')
        d.args = ['--config=' + path]
        d.start(wait=False)
        self.assertEqual(d.process.wait(harness.WAIT), EXIT_CONFIGURATION)
        self.assertIn(path, d.log())

    def test_wrong_value_is_a_warning(self):
        d = self.start(config='[Runbookd]\nMaxSteps=many\nLogLevel=debug\nFoo=1\n[Other]\nx=1\n')
        d.wait_ready()
        log = d.log()
        for line in (2, 4):
            self.assertIn('runbookd.conf:%d: ' % line, log)
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'debug')

    def test_drop_ins(self):
        """Later names win over earlier ones and over the file; the user's over the ones of the run directory of the same name."""
        d = harness.Daemon(config='[Runbookd]\nLogLevel=err\n')
        self.addCleanup(d.close)
        d.write_config('[Runbookd]\nLogLevel=warning\n', 'runbookd.conf.d/10-a.conf')
        d.write_config('[Runbookd]\nLogLevel=notice\n', 'runbookd.conf.d/20-b.conf')
        d.write_config('[Runbookd]\nLogLevel=crit\n', 'runbookd.conf.d/30-ignored.txt')
        for name, level in (('20-b.conf', 'emerg'), ('15-c.conf', 'alert')):
            path = os.path.join(d.scratch, 'run', 'runbookd', 'runbookd.conf.d', name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as f:
                f.write('[Runbookd]\nLogLevel=%s\n' % level)
        d.start()
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'notice')

    def test_only_one_file(self):
        d = harness.Daemon(config='[Runbookd]\nLogLevel=err\n')
        self.addCleanup(d.close)
        d.write_config('[Runbookd]\nLogLevel=notice\n', 'other.conf')
        d.args = ['--config=' + os.path.join(d.config_dir, 'other.conf')]
        d.start()
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'notice')

    def test_command_line_wins(self):
        d = self.start('--log-level=alert', config='[Runbookd]\nLogLevel=err\n')
        d.wait_ready()
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'alert')
        d.manager('Reload', 'a{sv}', {})
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'alert')

    def test_reload(self):
        """MaxSteps= and LogLevel= change at once; of others the log says that they will."""
        d = self.start(config='[Runbookd]\nMaxSteps=1\nMaxResumes=3\n')
        d.wait_ready()
        first = running(d, 'one')
        d.write_runbook('second', harness.waiting_runbook(d.scratch, 'two'))
        second = d.start_run('second')
        self.assertNotEqual(second.activity_get('wait', 'State'), 'running')
        d.write_config('[Runbookd]\nMaxSteps=2\nMaxResumes=4\nLogLevel=notice\n')
        d.manager('Reload', 'a{sv}', {})
        second.wait_activity('wait', 'running')
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'notice')
        log = d.log()
        self.assertIn('MaxResumes= has changed', log)
        self.assertNotIn('MaxSteps= has changed', log)
        touch(d, 'one')
        touch(d, 'two')
        self.assertEqual((first.wait_ended(), second.wait_ended()), ('success', 'success'))

    def test_who_waits_for_a_slot(self):
        """Describe says which activities could run and find no place."""
        d = self.start(config='[Runbookd]\nMaxSteps=1\n')
        d.wait_ready()
        d.write_runbook('both', 'phases: [{name: main, activities: [%s]}]' % ', '.join(
            '{name: %s, needs: [%s], run: "until [ -e %s/go ]; do sleep 0.01; done"}' % (name, needs, d.scratch) for name, needs in (('a', ''), ('b', ''), ('c', 'b'))))
        run = d.start_run('both')
        run.wait_activity('a', 'running')
        self.assertEqual([a.get('waitsForSlot') for a in run.describe()['activities']], [None, True, None])
        touch(d, 'go')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([a.get('waitsForSlot') for a in run.describe()['activities']], [None] * 3)

    def test_reload_that_fails(self):
        d = harness.Daemon()
        self.addCleanup(d.close)
        d.write_config('[Runbookd]\nLogLevel=notice\n', 'other.conf')
        path = os.path.join(d.config_dir, 'other.conf')
        d.args = ['--config=' + path]
        d.start()
        os.unlink(path)
        with self.assertRaises(dbus.DBusException) as caught:
            d.manager('Reload', 'a{sv}', {})
        self.assertIn('stays as it was', str(caught.exception))
        self.assertEqual(d.get(*LOG_CONTROL, 'LogLevel'), 'notice')

    def test_state_directory(self):
        with tempfile.TemporaryDirectory() as state:
            d = self.start('--state-directory=' + os.path.join(state, 'deep', 'er'))
            d.wait_ready()
            self.assertTrue(os.listdir(os.path.join(state, 'deep', 'er')))
            self.assertFalse(os.path.exists(d.state))
            d.close()

    def test_without_a_runtime_directory(self):
        """run/ in the state directory serves"""
        d = harness.Daemon(env={'XDG_RUNTIME_DIR': ''})
        self.addCleanup(d.close)
        os.makedirs(os.path.join(d.state, 'run', 'runbooks'))
        with open(os.path.join(d.state, 'run', 'runbooks', 'there.yaml'), 'w', encoding='utf-8') as f:
            f.write(HELLO)
        d.start()
        self.assertEqual([str(r[0]) for r in d.manager('ListRunbooks')], ['there'])

    def test_order_of_directories(self):
        d = harness.Daemon()
        self.addCleanup(d.close)
        for directory, text in (('run/runbookd', 'run'), ('data/runbookd', 'data'), ('share/runbookd', 'share')):
            path = os.path.join(d.scratch, directory, 'runbooks')
            os.makedirs(path)
            for name in ('all', text):
                with open(os.path.join(path, name + '.yaml'), 'w', encoding='utf-8') as f:
                    f.write('description: %s\n%s' % (text, HELLO))
        d.write_runbook('all', 'description: config\n' + HELLO)
        d.start()
        self.assertEqual({str(r[0]): str(r[1]) for r in d.manager('ListRunbooks')}, {'all': 'config', 'run': 'run', 'data': 'data', 'share': 'share'})
        os.unlink(os.path.join(d.runbooks, 'all.yaml'))
        self.assertEqual({str(r[0]): str(r[1]) for r in d.manager('ListRunbooks')}['all'], 'run')


class Lock(harness.TestCase):
    def test_second_daemon(self):
        """The second on a state directory ends with 78 and names the holder; the first does not notice."""
        second = harness.Daemon(args=['--state-directory=' + self.daemon.state])
        self.addCleanup(second.close)
        second.start(wait=False)
        self.assertEqual(second.process.wait(harness.WAIT), EXIT_CONFIGURATION)
        self.assertIn(str(self.daemon.process.pid), second.log())
        self.assertIn(self.daemon.state, second.log())
        self.daemon.write_runbook('hello', HELLO)
        self.assertEqual(self.daemon.start_run('hello').wait_ended(), 'success')

    def test_second_on_the_bus(self):
        """Another state directory, but the name is taken: it says so and ends, and the first keeps the name."""
        second = harness.Daemon(bus=self.daemon.bus)
        self.addCleanup(second.close)
        second.start(wait=False)
        self.assertEqual(second.process.wait(harness.WAIT), 1)
        self.assertIn('org.runbookd1', second.log())
        self.assertEqual(self.daemon.owner_pid(), self.daemon.process.pid)

    def test_lock_ends_with_the_daemon(self):
        self.daemon.kill9()
        self.daemon.start()


class Stop(harness.TestCase):
    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nMaxResumes=0\nKillGraceSec=2\n')

    def test_clean_stop(self):
        """Running steps are stopped and taken up again; a clean stop does not count towards MaxResumes=0."""
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            name = 'go-%d' % sig
            run = running(self.daemon, name)
            self.daemon.process.send_signal(sig)
            self.assertEqual(self.daemon.process.wait(harness.WAIT), 0)
            touch(self.daemon, name)
            self.daemon.start()
            self.assertEqual(run.wait_ended(), 'success')
            attempts = next(a for a in run.describe()['activities'])['attempts']
            self.assertEqual([(a['number'], a['cause'], a['state']) for a in attempts], [(1, 'initial', 'interrupted'), (2, 'resume', 'success')])

    def test_a_kill_counts(self):
        run = running(self.daemon, 'never')
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual(run.wait_ended(), 'dlq')
        # S3.31: the only way out of a state that is an end
        self.assertEqual(self.daemon.get(PATH, MANAGER, 'RunsDeadLetter'), 1)
        signals = harness.Signals(self.daemon)
        run.call('Cancel', 'a{sv}', {'Comment': 'looked at'})
        self.assertEqual((run.get('State'), self.daemon.get(PATH, MANAGER, 'RunsDeadLetter')), ('cancelled', 0))
        signals.settle()
        self.assertEqual([c['State'] for c, _ in signals.changes(run.path) if 'State' in c], ['cancelled'])
        signals.close()
        with self.error('WrongState'):
            run.call('Cancel', 'a{sv}', {})

    def test_nothing_is_left(self):
        mark = '1001.%d' % os.getpid()          # is found by it
        self.daemon.write_runbook('many', '''
phases: [{name: main, activities: [{name: wait, run: "echo $$ >'%s/pid'; (setsid sleep %s &); sleep %s"}]}]
''' % (self.daemon.scratch, mark, mark))
        run = self.daemon.start_run('many')
        run.wait_activity('wait', 'running')
        harness.wait_until(lambda: os.path.exists(os.path.join(self.daemon.scratch, 'pid')), 'the step')
        self.assertEqual(self.daemon.stop(), 0)
        left = subprocess.run(['pgrep', '-f', 'sleep ' + mark], capture_output=True, text=True, check=False).stdout.split()
        self.assertEqual(left, [])
        self.daemon.start()
        run.call('Cancel', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'cancelled')

    def test_waiting_runs_stay(self):
        self.daemon.write_runbook('ask', ASK)
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        requests = self.daemon.manager('ListRequests')
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(run.get('State'), 'on-hold')
        self.assertEqual(self.daemon.manager('ListRequests'), requests)
        self.assertEqual(self.daemon.get(PATH, MANAGER, 'RunsOnHold'), 1)
        run.approve('sign-off')
        self.assertEqual(run.wait_ended(), 'success')

    def test_notify(self):
        """READY=1 when the name is there, STOPPING=1 at the end, a status between."""
        path = os.path.join(self.daemon.scratch, 'notify')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.bind(path)
            s.settimeout(harness.WAIT)
            self.daemon.stop()
            self.daemon.extra_env = {'NOTIFY_SOCKET': path}
            self.daemon.start()
            self.daemon.extra_env = {}
            told = ''
            while 'READY=1' not in told:
                told += s.recv(4096).decode() + '\n'
            self.daemon.stop()
            while 'STOPPING=1' not in told:
                told += s.recv(4096).decode() + '\n'
        self.daemon.start()
        self.assertRegex(told, r'STATUS=Runs in progress: \d+')
        self.assertLess(told.index('READY=1'), told.index('STOPPING=1'))

    def test_watchdog(self):
        path = os.path.join(self.daemon.scratch, 'watchdog')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.bind(path)
            s.settimeout(harness.WAIT)
            self.daemon.stop()
            self.daemon.extra_env = {'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '500000'}
            self.daemon.start()
            told = ''
            while told.count('WATCHDOG=1') < 2:
                told += s.recv(4096).decode() + '\n'
            self.daemon.stop()
            self.daemon.extra_env = {}
        self.daemon.start()


class BusEnds(harness.unittest.TestCase):
    def test_user(self):
        """The end of the session bus ends the daemon, cleanly."""
        with harness.Daemon() as d:
            run = running(d)
            d.bus.stop()
            self.assertEqual(d.process.wait(harness.WAIT), 0)
            touch(d)
            d.connection = None
            d.start()
            self.assertEqual(run.wait_ended(), 'success')
            self.assertEqual(run.activity_get('wait', 'Attempt'), 2)

    @harness.unittest.skipUnless(os.getuid() == 0, 'needs root')
    def test_system(self):
        """On the system bus it comes back; runs go on meanwhile."""
        with harness.Daemon(kind='system') as d:
            run = running(d)
            d.write_runbook('ask', ASK)
            asking = d.start_run('ask')
            asking.wait_state('on-hold')
            pid = d.process.pid
            for i in range(3):
                d.bus.stop()
                harness.wait_until(lambda n=i: d.log().count('The bus has ended') == n + 1, 'the daemon to notice')
                if i == 1:
                    touch(d)
                d.bus.start()
                d.connection = None
                d.wait_ready()
                self.assertEqual(d.process.pid, pid)
            self.assertEqual(run.wait_ended(), 'success')
            self.assertEqual(run.activity_get('wait', 'Attempt'), 1)
            signals = harness.Signals(d)
            asking.approve('sign-off')
            self.assertEqual(asking.wait_ended(), 'success')
            signals.wait('RunFinished')
            signals.close()

    @harness.unittest.skipUnless(os.getuid() == 0, 'needs root')
    def test_system_without_a_bus(self):
        """The system bus may come later."""
        d = harness.Daemon(kind='system')
        self.addCleanup(d.close)
        d.spawn()
        harness.wait_until(lambda: 'tried again' in d.log(), 'the daemon to notice')
        d.bus.start()
        d.wait_ready()


class Storage(harness.TestCase):
    """A disk that takes nothing any more: a limit on the size of files that the daemon writes."""

    @classmethod
    def make_daemon(cls):
        def ignore():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return harness.Daemon(preexec=ignore)

    def limit(self, size):
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_storage_unavailable(self):
        self.daemon.write_runbook('ask', ASK)
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        history = run.history()
        signals = harness.Signals(self.daemon)
        self.limit(1)
        with self.error('StorageUnavailable'):
            run.approve('sign-off')
        with self.error('StorageUnavailable'):
            self.daemon.start_run('ask')
        with self.error('StorageUnavailable'):
            run.call('Cancel', 'a{sv}', {})
        self.assertEqual((run.get('State'), run.get('PendingRequests')), ('on-hold', 1))
        self.assertEqual(run.history(), history)
        self.assertEqual(len(self.daemon.manager('ListRequests')), 1)
        signals.settle()
        self.assertEqual([s for s in signals.seen if s[2] != 'PropertiesChanged' or s[0] != PATH], [])
        self.limit(resource.RLIM_INFINITY)

        def approved():
            try:
                run.approve('sign-off')
                return True
            except dbus.DBusException as e:
                self.assertEqual(e.get_dbus_name(), harness.ERROR + 'StorageUnavailable')
                return False
        harness.wait_until(approved, 'the storage to be tried again')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(len(run.events('request-answered')), 1)
        signals.close()

    def test_fix_that_is_not_stored(self):
        """A held failure stays as it was, with the definition that it had, and nothing is told."""
        text = 'phases: [{name: p, activities: [{name: a, run: exit 1}, {name: b, run: echo b}]}]'
        fixed = 'phases: [{name: p, activities: [{name: new, needs: [], run: echo new}, {name: a, needs: [], run: echo fixed}, {name: b, run: echo b}]}]'
        self.daemon.write_runbook('fix', text)
        run = self.daemon.start_run('fix')
        run.wait_state('on-hold')
        before = (run.describe(), run.history(), run.call('GetDefinition'))
        self.daemon.write_runbook('fix', fixed)
        signals = harness.Signals(self.daemon)
        self.limit(1)
        for method, options in (('Retry', {'Reload': True}), ('Ignore', {}), ('Abort', {})):
            with self.error('StorageUnavailable'):
                run.activity('a', method, 'a{sv}', dbus.Dictionary(options, signature='sv'))
        self.assertEqual((run.describe(), run.history(), run.call('GetDefinition')), before)
        signals.settle()
        self.assertEqual([s for s in signals.seen if s[2] != 'PropertiesChanged' or s[0] != PATH], [])
        self.limit(resource.RLIM_INFINITY)

        def retried():
            try:
                run.activity('a', 'Retry', 'a{sv}', dbus.Dictionary({'Reload': True}, signature='sv'))
                return True
            except dbus.DBusException as e:
                self.assertEqual(e.get_dbus_name(), harness.ERROR + 'StorageUnavailable')
                return False
        harness.wait_until(retried, 'the storage to be tried again')
        self.assertEqual(run.wait_ended(), 'success')
        signals.wait('RunFinished')
        signals.settle()
        for name, count in (('new', 1), ('a', 2), ('b', 1)):
            changed = [c for c, _ in signals.changes(run.activity_path(name))]
            self.assertEqual(([c['State'] for c in changed if 'State' in c][-1], [c['Attempt'] for c in changed if 'Attempt' in c]), ('success', [count]), name)
        signals.close()


class Log(harness.TestCase):
    def test_level(self):
        self.assertEqual(self.daemon.get(*LOG_CONTROL, 'LogLevel'), 'info')
        self.daemon.call(LOG_CONTROL[0], harness.PROPERTIES, 'Set', 'ssv', LOG_CONTROL[1], 'LogLevel', 'debug')
        self.assertEqual(self.daemon.get(*LOG_CONTROL, 'LogLevel'), 'debug')
        with self.error(harness.INVALID_ARGS):
            self.daemon.call(LOG_CONTROL[0], harness.PROPERTIES, 'Set', 'ssv', LOG_CONTROL[1], 'LogLevel', 'loud')
        self.daemon.call(LOG_CONTROL[0], harness.PROPERTIES, 'Set', 'ssv', LOG_CONTROL[1], 'LogLevel', 'info')

    def test_target_and_identifier(self):
        self.assertEqual((self.daemon.get(*LOG_CONTROL, 'LogTarget'), self.daemon.get(*LOG_CONTROL, 'SyslogIdentifier')), ('console', 'runbookd'))

    def test_runs_are_logged(self):
        self.daemon.write_runbook('hello', HELLO)
        run = self.daemon.start_run('hello')
        run.wait_ended()
        lines = [line for line in self.daemon.log().splitlines() if 'Run %d ' % run.id in line]
        self.assertIn('started', lines[0])
        self.assertIn('success', lines[-1])


if __name__ == '__main__':
    harness.main()
