"""A private bus, the real daemon on it, and what tests of it share. Other suites use it too.

    with Daemon() as d:                       # starts a bus and `runbookd --user` in a scratch directory
            d.write_runbook('hello', 'phases: …')
            run = d.start_run('hello')        # a Run: .path, .id, .get('State'), .wait_ended(), .describe()

The programs come from the environment (RUNBOOKD, RUNBOOKD_BUILD_DIR), as meson sets it, or from --build on the command line of a test.
Everything is waited for, nothing is slept for: the limit of each wait only says when to give up."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import dbus
import dbus.bus
import dbus.mainloop.glib
from gi.repository import GLib

from fake_service import end_process

NAME = 'org.runbookd1'
PATH = '/org/runbookd1'
MANAGER = NAME + '.Manager'
RUN = NAME + '.Run'
ACTIVITY = NAME + '.Activity'
PROPERTIES = 'org.freedesktop.DBus.Properties'
ERROR = NAME + '.Error.'
NOBODY = 65534
WAIT = 60.0                                     # seconds until a wait is given up

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)


def build_dir():
    return os.environ.get('RUNBOOKD_BUILD_DIR') or os.path.join(SOURCE, 'build')


def program(name, directory):
    return os.environ.get(name.upper()) or os.path.join(build_dir(), 'src', directory, name)


def wait_until(condition, what, limit=WAIT):
    """Runs the main loop until condition() is true; its value is returned."""
    context = GLib.MainContext.default()
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('waited in vain for ' + what)
        if not context.iteration(False):
            time.sleep(0.002)                   # the condition may be something that is not on our bus


def run_as(uid, function, *args):
    """Calls function(*args) in a process of another user and returns what it returns; an exception is raised here as a string."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(out)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            result = (True, function(*args))
            status = 0
        except BaseException as e:  # pylint: disable=broad-except
            result = (False, getattr(e, 'get_dbus_name', lambda: None)() or ''.join(traceback.format_exception(e)))
        with os.fdopen(into, 'wb') as f:
            pickle.dump(result, f)
        os._exit(status)
    os.close(into)
    with os.fdopen(out, 'rb') as f:
        data = f.read()
    os.waitpid(pid, 0)
    if not data:
        raise AssertionError('the other process said nothing')
    good, result = pickle.loads(data)
    if not good:
        raise RuntimeError(result)
    return result


class PrivateBus:
    """A dbus-daemon of our own. kind: 'user', where everybody may connect and call; 'system', with the policy that ships, where a test may play polkit and logind;
    'open-system', where the daemon alone says no."""

    POLICY = {
        'user': '<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>',
        'open-system': '<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>',
        'system': '<allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>'
                  '<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/><allow receive_type="method_return"/>'
                  '<allow receive_type="error"/><allow receive_type="signal"/><allow send_destination="org.freedesktop.DBus"/>',
    }

    # As their own files have it.
    POLKIT = ('<policy user="root"><allow own="org.freedesktop.PolicyKit1"/></policy>'
              '<policy context="default"><allow send_destination="org.freedesktop.PolicyKit1"/></policy>')
    LOGIND = POLKIT.replace('org.freedesktop.PolicyKit1', 'org.freedesktop.login1')

    def __init__(self, directory, kind='user'):
        self.kind = kind
        self.socket = os.path.join(directory, 'bus')
        self.address = 'unix:path=' + self.socket
        self.config = os.path.join(directory, 'bus.conf')
        self.process = None
        include = '<include>%s/dbus/org.runbookd1.conf</include>%s%s' % (SOURCE, self.POLKIT, self.LOGIND) if kind == 'system' else ''
        with open(self.config, 'w', encoding='utf-8') as f:
            f.write('<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
                    '<busconfig><type>%s</type><listen>%s</listen><auth>EXTERNAL</auth><policy context="default">%s</policy>%s'
                    '<limit name="max_replies_per_connection">50000</limit></busconfig>'
                    % ('session' if kind == 'user' else 'system', self.address, self.POLICY[kind], include))

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        with open(self.config + '.log', 'ab') as log:
            self.process = subprocess.Popen(['dbus-daemon', '--config-file=' + self.config, '--nofork', '--print-address=1'], stdout=subprocess.PIPE, stderr=log, text=True)
        if not self.process.stdout.readline():
            with open(self.config + '.log', encoding='utf-8') as log:
                raise AssertionError('dbus-daemon did not start: ' + log.read())
        os.chmod(self.socket, 0o666)

    def stop(self):
        self.process = end_process(self.process)

    def connect(self):
        connection = dbus.bus.BusConnection(self.address)
        connection.set_exit_on_disconnect(False)
        return connection


class Daemon:
    """runbookd in a scratch directory, on a bus of its own (or on a given one)."""

    def __init__(self, scratch=None, kind='user', bus=None, args=(), env=None, config=None, preexec=None):
        self.own_scratch = scratch is None
        self.scratch = scratch or tempfile.mkdtemp(prefix='runbookd-test-')
        os.chmod(self.scratch, 0o755)
        self.kind = kind
        self.own_bus = bus is None
        self.bus = bus or PrivateBus(self.scratch, kind)
        self.args = list(args)
        self.extra_env = dict(env or {})
        self.preexec = preexec
        self.process = None
        self.connection = None
        self.log_path = os.path.join(self.scratch, 'log')
        self.config_dir = os.path.join(self.scratch, 'config', 'runbookd')
        self.state = os.path.join(self.scratch, 'state', 'runbookd')
        self.runbooks = os.path.join(self.config_dir, 'runbooks')
        os.makedirs(self.runbooks, exist_ok=True)
        os.makedirs(os.path.join(self.scratch, 'run'), mode=0o700, exist_ok=True)
        if config is not None:
            self.write_config(config)

    # -- files

    def write_runbook(self, name, text, suffix='.yaml'):
        path = os.path.join(self.runbooks, name + suffix)
        with open(path + '.new', 'w', encoding='utf-8') as f:
            f.write(text)
        os.rename(path + '.new', path)
        return path

    def write_config(self, text, name='runbookd.conf'):
        path = os.path.join(self.config_dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    # -- the process

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'DBUS_', 'LANG', 'LC_', 'NOTIFY_'))}
        env.update(HOME=self.scratch, LC_ALL='C.UTF-8')
        env['XDG_RUNTIME_DIR'] = os.path.join(self.scratch, 'run')
        env['XDG_CONFIG_HOME'] = os.path.dirname(self.config_dir)
        env['XDG_STATE_HOME'] = os.path.dirname(self.state)
        env['XDG_DATA_HOME'] = os.path.join(self.scratch, 'data')
        env['XDG_DATA_DIRS'] = os.path.join(self.scratch, 'share')
        env['CONFIGURATION_DIRECTORY'] = self.config_dir
        env['RUNTIME_DIRECTORY'] = os.path.join(self.scratch, 'run')
        env['STATE_DIRECTORY'] = self.state
        env['DBUS_SESSION_BUS_ADDRESS'] = env['DBUS_SYSTEM_BUS_ADDRESS'] = self.bus.address
        env.update(self.extra_env)
        return env

    def command(self):
        return [program('runbookd', 'daemon'), '--user' if self.kind == 'user' else '--system'] + self.args

    def spawn(self):
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.preexec)

    def start(self, wait=True):
        if self.own_bus and not self.bus.process:
            self.bus.start()
        self.spawn()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        if not self.connection:
            self.connection = self.bus.connect()

        def there():
            if self.process.poll() is not None:
                raise AssertionError('runbookd ended with %d:\n%s' % (self.process.returncode, self.log()))
            return self.owner_pid() == self.process.pid
        wait_until(there, 'the daemon\n' + self.log())

    def owner_pid(self):
        driver = self.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False)
        try:
            return driver.GetConnectionUnixProcessID(NAME, dbus_interface='org.freedesktop.DBus')
        except dbus.DBusException:
            return None

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError('runbookd does not stop:\n' + self.log()) from None
        self.process = None
        return status

    def close(self):
        try:
            self.stop()
        finally:
            if self.connection:
                self.connection.close()
                self.connection = None
            if self.own_bus:
                self.bus.stop()
            if self.own_scratch:
                shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc):
        if exc[0]:
            with contextlib.suppress(OSError):
                sys.stderr.write(self.log())
        self.close()

    # -- calls

    def call(self, path, interface, method, signature='', *args, connection=None, timeout=WAIT):
        return (connection or self.connection).call_blocking(NAME, path, interface, method, signature, args, timeout=timeout, byte_arrays=True)

    def manager(self, method, signature='', *args, **kwargs):
        return self.call(PATH, MANAGER, method, signature, *args, **kwargs)

    def get(self, path, interface, name):
        return self.call(path, PROPERTIES, 'Get', 'ss', interface, name)

    def get_all(self, path, interface):
        return self.call(path, PROPERTIES, 'GetAll', 's', interface)

    def start_run(self, runbook, inputs=None, **options):
        run, path = self.manager('StartRun', 'sa{sv}a{sv}', runbook, dbus.Dictionary(inputs or {}, signature='sv'), dbus.Dictionary(options, signature='sv'))
        return Run(self, run, path)

    def run(self, number):
        return Run(self, number, '%s/run/%d' % (PATH, number))

    def tool(self, *argv, check=True, **kwargs):
        """Runs a program in the daemon's environment: busctl, gdbus, runbookctl."""
        p = subprocess.run(argv, env=self.environment(), capture_output=True, text=True, timeout=WAIT, **kwargs)
        if check and p.returncode != 0:
            raise AssertionError('%s: %d\n%s%s' % (' '.join(argv), p.returncode, p.stdout, p.stderr))
        return p


class Run:
    def __init__(self, daemon, number, path):
        self.daemon, self.id, self.path = daemon, int(number), str(path)

    def call(self, method, signature='', *args):
        return self.daemon.call(self.path, RUN, method, signature, *args)

    def get(self, name):
        return self.daemon.get(self.path, RUN, name)

    def get_all(self):
        return self.daemon.get_all(self.path, RUN)

    def describe(self):
        return json.loads(self.call('Describe'))

    def history(self):
        entries = []
        while True:
            page = self.call('GetHistory', 'uu', entries[-1][0] + 1 if entries else 0, 0)
            if not page:
                return entries
            entries += page

    def events(self, kind):
        """The data of all entries of one type."""
        return [json.loads(e[5]) for e in self.history() if e[3] == kind]

    def activity_path(self, name):
        return next(str(a[4]) for a in self.call('ListActivities') if a[0] == name)

    def activity(self, name, method, signature='', *args):
        return self.daemon.call(self.activity_path(name), ACTIVITY, method, signature, *args)

    def activity_get(self, name, prop):
        return self.daemon.get(self.activity_path(name), ACTIVITY, prop)

    def approve(self, name, **options):
        return self.activity(name, 'Approve', 'a{sv}', dbus.Dictionary(options, signature='sv'))

    def wait_state(self, *states, limit=WAIT):
        return wait_until(lambda: self.get('State') in states and self.get('State'), 'state %s of run %d; it is %s\n%s'
                          % ('|'.join(states), self.id, self.get('State'), self.daemon.log()), limit)

    def wait_ended(self, limit=WAIT):
        return wait_until(lambda: self.get('FinishedAt') and self.get('State'), 'the end of run %d\n%s' % (self.id, self.daemon.log()), limit)

    def wait_activity(self, name, state, limit=WAIT):
        return wait_until(lambda: self.activity_get(name, 'State') == state, 'state %s of activity %s' % (state, name), limit)

    def log(self, activity, step='', attempt=0):
        offset, text = 0, b''
        while True:
            offset, data, end = self.activity(activity, 'ReadLog', 'ust', attempt, step, offset)
            text += bytes(data)
            if end:
                return text.decode()
            if not data:
                return text.decode()


class Signals:
    """Records what the daemon broadcasts, in order: (path, interface, member, args)."""

    def __init__(self, daemon):
        self.seen = []
        self.connection = daemon.bus.connect()
        self.connection.add_signal_receiver(self.on_signal, bus_name=None, path_keyword='path', interface_keyword='interface', member_keyword='member', sender_keyword='sender')
        self.names = {NAME}

    def on_signal(self, *args, path=None, interface=None, member=None, sender=None):
        if path.startswith(PATH):
            self.seen.append((str(path), str(interface), str(member), args))

    def of(self, member, path=None):
        return [s for s in self.seen if s[2] == member and (path is None or s[0] == path)]

    def changes(self, path, interface=None):
        """The PropertiesChanged of an object: (changed, invalidated)."""
        return [(s[3][1], s[3][2]) for s in self.of('PropertiesChanged', path) if interface is None or s[3][0] == interface]

    def wait(self, member, count=1):
        return wait_until(lambda: len(self.of(member)) >= count and self.of(member), 'the signal ' + member)

    def settle(self):
        """All that was sent before now has arrived: the bus answers us behind it."""
        self.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False).GetId(dbus_interface='org.freedesktop.DBus')
        context = GLib.MainContext.default()
        while context.iteration(False):
            pass

    def close(self):
        self.connection.close()


class TestCase(unittest.TestCase):
    """A test with one daemon per class, made by make_daemon()."""

    daemon = None

    @classmethod
    def make_daemon(cls):
        return Daemon()

    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.make_daemon()
        try:
            cls.daemon.start()
        except BaseException:
            cls.daemon.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    @contextlib.contextmanager
    def error(self, name):
        """The block must fail with this D-Bus error (a name of ours without its prefix)."""
        try:
            yield
        except dbus.DBusException as e:
            self.assertEqual(e.get_dbus_name(), name if '.' in name else ERROR + name, str(e))
            self.assertTrue(e.get_dbus_message(), 'the error says nothing')
        else:
            self.fail('there was no error, not ' + name)


INVALID_ARGS = 'org.freedesktop.DBus.Error.InvalidArgs'
ACCESS_DENIED = 'org.freedesktop.DBus.Error.AccessDenied'
UNKNOWN_OBJECT = 'org.freedesktop.DBus.Error.UnknownObject'
AUTHENTICATION_REQUIRED = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'
LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded'

HELLO = '''
phases:
  - name: main
    activities:
      - name: greet
        run: echo hello
'''

ASK = '''
owners: []
phases:
  - name: main
    activities:
      - name: sign-off
        approval: {title: Go on?, message: 'Really?'}
      - name: after
        run: echo "${{ activities['sign-off'].outputs.comment }}"
'''

# Waits until the file ../../../go (in the scratch directory) appears, then ends well.
def waiting_runbook(scratch, name='go'):
    return '''
phases:
  - name: main
    activities:
      - name: wait
        run: until [ -e '%s/%s' ]; do sleep 0.01; done
''' % (scratch, name)


def main():
    """Runs the tests of the calling file; the last line is 'N passed, N failed'."""
    arguments = sys.argv[1:]
    if arguments and arguments[0].startswith('--build='):
        os.environ['RUNBOOKD_BUILD_DIR'] = arguments.pop(0).split('=', 1)[1]
    module = sys.modules['__main__']
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(arguments, module) if arguments else loader.loadTestsFromModule(module)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    for test, reason in result.skipped:
        print('skipped: %s: %s' % (test, reason))
    print('%d passed, %d failed%s' % (max(passed, 0), failed, ', %d skipped' % skipped if skipped else ''))
    sys.exit(1 if failed else 0)
