"""What the tests of runbookctl share: the fake daemon on a private bus, the program run in a known environment, golden files, and a terminal driven by tmux.

A golden file is made, or made anew, by running a test with RUNBOOKD_UPDATE_GOLDEN=1; look at the difference before you keep it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import dbus

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'bus'))
from harness import NAME, PATH, Daemon, PrivateBus, build_dir, end_process, program, run_as, wait_until  # noqa: E402,F401  pylint: disable=unused-import,wrong-import-position

TEST = NAME + '.Test'
LIMIT = 60.0
ESCAPE = '\x1b'


def environment(bus_address, scratch, **more):
    """Nothing of the caller's own terminal, locale or buses."""
    env = {k: v for k, v in os.environ.items() if k.split('_')[0] not in ('XDG', 'DBUS', 'LANG', 'LC', 'LESS', 'SYSTEMD', 'SUDO') and k not in
           ('LANGUAGE', 'PAGER', 'NO_COLOR', 'TERM', 'COLUMNS', 'LINES', 'TMUX')}
    env.update(HOME=scratch, LC_ALL='C.UTF-8', TZ='UTC', TERM='dumb', DBUS_SESSION_BUS_ADDRESS=bus_address, XDG_RUNTIME_DIR=scratch,
               DBUS_SYSTEM_BUS_ADDRESS='unix:path=%s/no-system-bus' % scratch)
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


class Fake:
    """The fake daemon; .ctl() runs runbookctl against it."""

    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix='runbookctl-test-')
        os.chmod(self.scratch, 0o755)
        self.bus = PrivateBus(self.scratch)
        self.process = self.connection = None

    def start(self):
        if not self.bus.process:
            self.bus.start()
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, 'fake_daemon.py'), self.bus.address], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise AssertionError('the fake daemon did not start')
        if not self.connection:
            self.connection = self.bus.connect()
        return self

    def kill(self):
        self.process = end_process(self.process)

    def close(self):
        self.kill()
        if self.connection:
            self.connection.close()
        self.bus.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def test(self, member, signature='', *args):
        return self.connection.call_blocking(NAME, PATH, TEST, member, signature, args, timeout=LIMIT)

    def beat(self, number, *beat):
        self.test('Beat', 'us', dbus.UInt32(number), json.dumps(beat))

    def auto(self, *beats):
        """What each run that is started from now on does at once."""
        self.test('Auto', 's', json.dumps(beats))

    def refuse(self, member, error, text):
        self.test('Refuse', 's', json.dumps({member: [error, text]}))

    def calls(self, member=None):
        """The calls since the last look."""
        return [c for c in json.loads(self.test('Calls')) if member in (None, c['member'])]

    def questions(self, member):
        """Of each call of it since the last look at calls: could a password have been asked for?"""
        return json.loads(self.test('Questions', 's', member))

    def last(self):
        return int(self.test('Last'))

    def environment(self, **more):
        return environment(self.bus.address, self.scratch, **more)

    def ctl(self, *args, user=True, stdin=None, **env):
        return subprocess.run([program('runbookctl', 'ctl')] + ['--user'] * user + list(args), env=self.environment(**env), input=stdin or b'',
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)

    def popen(self, *args, **env):
        """Killed when it takes too long, so that a read from it ends."""
        p = subprocess.Popen([program('runbookctl', 'ctl'), '--user'] + list(args), env=self.environment(**env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        timer = threading.Timer(LIMIT, p.kill)
        timer.daemon = True
        timer.start()
        return p


class Terminal:
    """A program on a terminal of a known size, in a tmux of our own. What it shows is waited for, never slept for."""

    def __init__(self, command, env, width=100, height=40):
        self.socket = os.path.join(env['HOME'], 'tmux-%d-%d' % (os.getpid(), time.monotonic_ns()))
        self.status = self.socket + '.status'
        script = 'stty -echoctl; trap : INT; %s; echo $? > %s; sleep 600' % (' '.join("'%s'" % c.replace("'", "'\\''") for c in command), self.status)
        self.env = {k: v for k, v in env.items() if k != 'TERM'}
        subprocess.run(self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(width), '-y', str(height), 'sh', '-c', script), env=self.env, check=True, timeout=LIMIT)

    def tmux(self, *args):
        return ['tmux', '-u', '-S', self.socket] + list(args)

    def screen(self, escapes=False):
        p = subprocess.run(self.tmux('capture-pane', '-p', *(['-e'] if escapes else [])), env=self.env, stdout=subprocess.PIPE, timeout=LIMIT, check=True)
        return p.stdout.decode()

    def wait_for(self, *texts, gone=()):
        """Until all these texts are on the screen, and none of `gone`; the screen."""
        last = ['']

        def there():
            last[0] = self.screen()
            return all(t in last[0] for t in texts) and not any(t in last[0] for t in gone)
        try:
            wait_until(there, 'the screen', LIMIT)
        except AssertionError:
            raise AssertionError('waited in vain for %r without %r; the screen was:\n%s' % (texts, gone, last[0])) from None
        return last[0]

    def type(self, *keys):
        subprocess.run(self.tmux('send-keys', *keys), env=self.env, check=True, timeout=LIMIT)

    def resize(self, width, height):
        subprocess.run(self.tmux('resize-window', '-x', str(width), '-y', str(height)), env=self.env, check=True, timeout=LIMIT)

    def wait_exit(self):
        wait_until(lambda: os.path.exists(self.status) and os.path.getsize(self.status) > 0, 'the end of the program; its screen:\n' + self.screen(), LIMIT)
        with open(self.status, encoding='ascii') as f:
            return int(f.read())

    def close(self):
        subprocess.run(self.tmux('kill-server'), env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=LIMIT)


def normal(text):
    """What depends on the clock of now is made the same."""
    return re.sub(r'; [^;\n]* ago', '; AGO ago', text)


class TestCase(unittest.TestCase):
    maxDiff = None
    fake = None

    @classmethod
    def setUpClass(cls):
        cls.fake = Fake()
        try:
            cls.fake.start()
        except BaseException:
            cls.fake.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()

    def ok(self, *args, **kwargs):
        """Runs it, wants success and silence on standard error; its standard output."""
        p = self.fake.ctl(*args, **kwargs)
        self.assertEqual((p.returncode, p.stderr.decode()), (0, ''))
        return p.stdout.decode()

    def fails(self, status, *args, **kwargs):
        """Runs it, wants this status; its standard error."""
        p = self.fake.ctl(*args, **kwargs)
        self.assertEqual(p.returncode, status, p.stderr.decode())
        return p.stderr.decode()

    def golden(self, name, text):
        path = os.path.join(HERE, 'golden', name + '.txt')
        text = normal(text)
        if os.environ.get('RUNBOOKD_UPDATE_GOLDEN'):
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
        with open(path, encoding='utf-8') as f:
            self.assertEqual(text, f.read())

    def terminal(self, *args, width=100, height=40, **env):
        t = Terminal([program('runbookctl', 'ctl'), '--user'] + list(args), self.fake.environment(**env), width, height)
        self.addCleanup(t.close)
        return t


def main():
    unittest.main(verbosity=2)
