"""Options, help, exit statuses, and what is said where there is no daemon."""

import glob
import os
import re
import subprocess
import unicodedata

from cli_harness import NAME, TestCase, build_dir, environment, main, program

VERBS = ('list', 'status', 'explain', 'dead-letters', 'show', 'runbooks', 'cat', 'start', 'start-now', 'reschedule', 'watch', 'logs', 'history', 'inbox', 'approve', 'reject', 'provide', 'retry', 'ignore',
         'abort', 'set-input', 'pause', 'resume', 'cancel', 'replay', 'rerun', 'verify', 'reload', 'help')
GLOBAL = ('--user', '--system', '--host', '--json', '--no-pager', '--no-legend', '--no-ask-password', '--no-input', '--lines', '--quiet', '--help', '--version')


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in line)


class Help(TestCase):
    def check_width(self, text):
        for line in text.splitlines():
            self.assertLessEqual(columns(line), 80, line)

    def test_help_lists_all_and_is_narrow(self):
        text = self.ok('--help')
        self.check_width(text)
        for word in VERBS + GLOBAL:
            self.assertRegex(text, r'(?m)^ .*(?<![\w-])%s\b' % re.escape(word))
        self.assertNotIn('__complete', text)
        self.assertEqual(text, self.ok('help'))
        self.assertEqual(text, self.ok('-h'))

    def test_each_verb_has_its_own(self):
        for verb in VERBS:
            text = self.ok('help', verb)
            self.check_width(text)
            self.assertEqual(text, self.ok(verb, '--help'))
            self.assertIn('runbookctl ', text)
        text = self.ok('help', 'start')
        for option in ('--input=', '--input-file=', '--follow', '--wait', '--strict', '--label=', '--cancel-on-exit'):
            self.assertIn(option, text)
        self.assertNotIn('--attempt', text)

    def test_no_options_of_later_verbs(self):
        text = self.ok('--help') + ''.join(self.ok('help', v) for v in VERBS)
        for word in ('graph', 'plot'):
            self.assertNotRegex(text, r'(?m)%s\b' % word)
        for option in ('--override', '--reload', '--output=a=b', '--from=x', '--fresh-workspace'):
            self.fails(64, 'start', 'ship', option)

    def test_german_is_narrow_too(self):
        catalogs = glob.glob(os.path.join(build_dir(), 'po', 'de', 'LC_MESSAGES', '*.mo')) + glob.glob(os.path.join(build_dir(), 'po', '**', 'runbookd.mo'), recursive=True)
        if not catalogs:
            self.skipTest('the catalogs are not built')
        directory = catalogs[0][:catalogs[0].index('/de/')]
        for args in (('--help',), ('help', 'start'), ('help', 'logs')):
            text = self.ok(*args, LANGUAGE='de', RUNBOOKD_LOCALEDIR=directory)
            self.check_width(text)
            self.assertNotEqual(text, self.ok(*args))

    def test_version(self):
        self.assertRegex(self.ok('--version'), r'^runbookctl \(runbookd\) \d+\.\d+\.\d+\n$')


class Usage(TestCase):
    def test_nearest_names(self):
        self.assertIn('Did you mean "start"?', self.fails(64, 'strat', 'x'))
        self.assertIn('Did you mean "approve"?', self.fails(64, 'aprove', '1/x'))
        self.assertIn('Did you mean --follow?', self.fails(64, 'start', 'ship', '--folow'))
        self.assertIn('Did you mean "status"?', self.fails(64, 'help', 'statsu'))
        self.assertIn('"runbookctl --help"', self.fails(64, 'xyzzy'))
        self.assertIn('"runbookctl --help"', self.fails(64, '--xyzzy'))
        self.assertIn('no option -Z', self.fails(64, '-Z'))

    def test_wrong_use(self):
        for args in (('start',), ('cat',), ('start', 'a', 'b'), ('history',), ('approve', '2'), ('approve', '2/'), ('approve', '2/qa/x'), ('history', '1/dist'), ('status', '01'), ('status', 'x'),
                     ('status', '0'), ('status', '-1'), ('status', '4294967296'), ('status', '1//x'), ('logs', '1/a/b/c'), ('list', 'x'), ('list', '-n'), ('list', '-n', '-1'),
                     ('list', '-n', '4294967299'), ('list', '--json'), ('list', '--json=xml'), ('list', '--quiet=1'), ('list', '--follow'), ('start', 'ship', '-m', 'x'),
                     ('logs', '1/dist', '--attempt', '0'), ('logs', '1', '--attempt', '1'), ('start', 'ship', '--follow', '--wait'), ('start', 'ship', '--cancel-on-exit'),
                     ('-H', 'host', '--user', 'list'), ('--no-', 'list'), ('verify',), ('-H', '', 'list')):
            with self.subTest(args=args):
                self.assertNotEqual(self.fails(64, *args), '')

    def test_what_is_not_utf8(self):
        """Nobody is told that null is no value, or that the daemon's answer was not understood. In such a locale it is easily typed."""
        word = 'n\udcf6'               # the bytes of Latin-1
        for verb in ('approve', 'reject', 'ignore', 'abort', 'retry', 'pause', 'resume', 'cancel', 'start-now', 'replay', 'rerun'):
            self.assertEqual(self.fails(64, verb, '2/qa' if verb in ('approve', 'reject') else '2', '-m', word), "The value of --message isn't UTF-8 text.\n")
        for args in (('--label', 'a=' + word), ('--only', word), ('-i', 'version=' + word), ('-i', word + '=1')):
            self.assertIn("isn't UTF-8 text.\n", self.fails(64, 'start', 'ship', *args))
        for args in (('start', word), ('cat', word), ('status', '1/' + word), ('logs', '1/dist/' + word), ('set-input', '2', 'version=' + word), ('provide', '2', word + '=1')):
            self.assertRegex(self.fails(64, *args), '^"[^"]*\ufffd[^"]*" isn\'t UTF-8 text.\n$')
        self.assertIn("n\ufffd can't be read: No such file", self.fails(1, 'start', 'ship', '-I', word))
        self.assertEqual(self.ok('__complete', '--', 'start', word), '')

    def test_spellings(self):
        want = self.ok('list', '-n', '2', '--no-legend')
        for args in (('-n2', 'list', '--no-legend'), ('--lines=2', '--no-legend'), ('--lin', '2', '--no-leg', 'list'), ('-qn2', 'list', '--no-legend'), ('list', '-n=2', '--no-legend')):
            self.assertEqual(self.ok(*args), want)
        self.assertIn("status", self.fails(1, 'start', '--', '--status'))

    def test_errors_of_the_daemon_are_printed_as_they_are(self):
        self.assertEqual(self.fails(1, 'status', '99'), 'There is no run 99.\n')
        self.assertEqual(self.fails(1, 'start', 'nosuch'), 'There is no runbook "nosuch"; there is "ship".\n')
        self.assertEqual(self.fails(1, 'approve', '1/dist'), 'dist waits for nobody.\n')

    def test_nearest_activity(self):
        self.assertEqual(self.fails(1, 'status', '1/disr'), 'Run 1 has no activity "disr". Did you mean "dist"?\n')
        self.assertEqual(self.fails(1, 'show', '1/uplaod'), 'Run 1 has no activity "uplaod". Did you mean "upload"?\n')
        self.assertIn('"runbookctl --user status 1" shows them', self.fails(1, 'approve', '1/xyzzy'))

    def test_interactive_authorization(self):
        """Allowed unless it is forbidden."""
        def next_call(stream):
            while True:
                record = stream.read(16)
                message = stream.read(int.from_bytes(record[8:12], 'little'))
                if message[1] == 1:     # a method call; the monitor's own hello and farewell come first
                    return message

        seen = {}
        with subprocess.Popen(['dbus-monitor', '--address', self.fake.bus.address, '--pcap', "type='method_call',member='Reload'"], stdout=subprocess.PIPE,
                  stderr=subprocess.DEVNULL) as monitor:
            monitor.stdout.read(24)             # the file's header: it listens
            for args in ((), ('--no-ask-password',)):
                self.ok('reload', *args)
                seen[args] = bool(next_call(monitor.stdout)[2] & 4)
            monitor.kill()
        self.assertEqual(seen, {(): True, ('--no-ask-password',): False})


class NoDaemon(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fake.kill()

    def test_status_4_and_advice(self):
        text = self.fails(4, 'list')
        self.assertIn('on the session bus', text)
        self.assertIn('runbookd --user', text)
        for args in (('start', 'ship'), ('watch',), ('watch', '1'), ('status',), ('logs', '1'), ('start', 'ship', '-i', 'a=b', '--wait')):
            self.assertIn("can't be reached", self.fails(4, *args))

    def test_no_system_bus(self):
        text = self.fails(4, 'list', user=False)
        self.assertIn('on the system bus', text)
        self.assertIn('systemctl start runbookd', text)

    def test_no_session_bus(self):
        self.assertIn('there is no session bus', self.fails(4, 'list', DBUS_SESSION_BUS_ADDRESS=None, XDG_RUNTIME_DIR=None))

    def test_host(self):
        """Over ssh, by a program of that name in the path: here one that says what it was asked and ends."""
        path = os.path.join(self.fake.scratch, 'bin')
        os.makedirs(path, exist_ok=True)
        with open(path + '/ssh', 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\necho "$@" > %s/asked\nexit 1\n' % path)
        os.chmod(path + '/ssh', 0o755)
        text = self.fails(4, '-H', 'admin@far', 'list', user=False, PATH=path + ':' + os.environ['PATH'])
        self.assertIn('runbookd on admin@far', text)
        with open(path + '/asked', encoding='ascii') as f:
            self.assertIn('admin@far', f.read())


class OtherBus(TestCase):
    """The daemon is on the other bus: the error says so."""

    def test_session(self):
        text = self.fails(4, 'list', user=False, DBUS_SYSTEM_BUS_ADDRESS='unix:path=/nonexistent')
        self.assertIn('One runs on your session bus: try "runbookctl --user"', text)

    def test_system(self):
        text = self.fails(4, 'list', DBUS_SESSION_BUS_ADDRESS='unix:path=/nonexistent', DBUS_SYSTEM_BUS_ADDRESS=self.fake.bus.address)
        self.assertIn('One runs on the system bus: leave out --user.', text)

    def test_the_system_bus_is_the_default(self):
        env = environment('unix:path=/nonexistent', self.fake.scratch, DBUS_SYSTEM_BUS_ADDRESS=self.fake.bus.address)
        for args in ([], ['--system'], ['--user', '--system']):
            p = subprocess.run([program('runbookctl', 'ctl'), '--json=short', 'list'] + args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual((p.returncode, p.stderr), (0, b''))


class Broken(TestCase):
    def test_full_output(self):
        with open('/dev/full', 'wb') as full:
            p = subprocess.run([program('runbookctl', 'ctl'), '--user', 'list'], env=self.fake.environment(), stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"can't be written", p.stderr)

    def test_a_daemon_that_answers_nonsense(self):
        for member, error in (('GetHistory', 'org.freedesktop.DBus.Error.UnknownMethod'), ('Describe', 'org.runbookd1.Error.TooLarge')):
            self.fake.refuse(member, error, 'No, not ' + member)
            self.assertEqual(self.fails(1, 'history' if member == 'GetHistory' else 'status', '1'), 'No, not %s\n' % member)

    def test_policy_of_the_bus(self):
        self.fake.refuse('ListRuns', 'org.freedesktop.DBus.Error.AccessDenied', 'Rejected send message, 1 matched rules')
        text = self.fails(1, 'list')
        self.assertIn('Rejected send message', text)
        self.assertIn('as root', text)
        self.assertTrue(NAME)


if __name__ == '__main__':
    main()
