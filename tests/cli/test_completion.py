"""Completion: the program's own list of candidates, and bash with the script that ships."""

import os
import subprocess

from cli_harness import HERE, TestCase, main, program
from test_usage import GLOBAL, VERBS

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'src', 'ctl', 'completion', 'runbookctl.bash')


class Words(TestCase):
    def words(self, *args, **env):
        p = self.fake.ctl('__complete', '--', '--user', *args, user=False, **env)
        self.assertEqual((p.returncode, p.stderr), (0, b''))
        return [line.split('\t')[0] for line in p.stdout.decode().splitlines()]

    def test_verbs(self):
        self.assertEqual(self.words(''), list(VERBS))
        self.assertEqual(self.words('st'), ['status', 'start', 'start-now'])
        self.assertEqual(self.words('help', 're'), ['reschedule', 'reject', 'retry', 'resume', 'replay', 'rerun', 'reload'])

    def test_options(self):
        offered = [w.rstrip('=') for w in self.words('--')]
        self.assertEqual(offered, list(GLOBAL))
        self.assertIn('--cancel-on-exit', self.words('start', 'ship', '--'))
        self.assertNotIn('--attempt=', self.words('start', '--'))
        self.assertEqual(self.words('logs', '--att'), ['--attempt='])

    def test_values_of_options(self):
        self.assertEqual(self.words('--json='), ['--json=off', '--json=short', '--json=pretty'])
        self.assertEqual(self.words('--json', 'p'), ['pretty'])
        self.assertEqual(self.words('start', 'ship', '-I', ''), [''])           # files: the shell's own

    def test_operands(self):
        self.assertEqual(self.words('start', ''), ['ship', 'wrong'])
        self.assertEqual(self.words('cat', 's'), ['ship'])
        self.assertEqual(self.words('status', ''), ['4', '3', '2', '1'])
        self.assertEqual(self.words('status', '1/'), ['1/dist', '1/docs', '1/upload'])
        self.assertEqual(self.words('logs', '-f', '1/d'), ['1/dist', '1/docs'])
        self.assertEqual(self.words('approve', ''), ['2/qa', '3/b'])
        self.assertEqual(self.words('status', '1', ''), [])
        self.assertEqual(self.words('list', ''), [])
        self.assertEqual(self.words('-n', '5', '-H', 'x', 'sta'), ['status', 'start', 'start-now'])

    def test_descriptions_are_clean(self):
        p = self.fake.ctl('__complete', '--', '--user', 'approve', '', user=False)
        self.assertNotIn(b'\x1b', p.stdout)

    def test_without_a_daemon(self):
        self.assertEqual(self.words('start', '', DBUS_SESSION_BUS_ADDRESS='unix:path=/nonexistent'), [])
        self.assertEqual(self.words('sta', DBUS_SESSION_BUS_ADDRESS='unix:path=/nonexistent'), ['status', 'start', 'start-now'])


class Bash(TestCase):
    def complete(self, line):
        """What bash would offer at the end of this line, split as bash splits it."""
        words, word = [], ''
        for c in line:
            if c == ' ':
                words.append(word)
                word = ''
            elif c in '=:':
                words += [word] * bool(word) + [c]
                word = ''
            else:
                word += c
        words = [w for w in words if w] + [word]
        quoted = ' '.join("'%s'" % w for w in words)
        script = 'compopt() { :; }; . "%s"; COMP_WORDS=(%s); COMP_CWORD=%d; _runbookctl; printf "%%s\\n" "${COMPREPLY[@]}"' % (SCRIPT, quoted, len(words) - 1)
        env = self.fake.environment(PATH=os.path.dirname(program('runbookctl', 'ctl')) + ':' + os.environ['PATH'])
        p = subprocess.run(['bash', '--norc', '-c', script], env=env, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((p.returncode, p.stderr), (0, ''))
        return p.stdout.split()

    def test_script(self):
        self.assertEqual(self.complete('runbookctl sta'), ['status', 'start', 'start-now'])
        self.assertEqual(self.complete('runbookctl --user start s'), ['ship'])
        self.assertEqual(self.complete('runbookctl --user status 1/u'), ['1/upload'])
        self.assertEqual(self.complete('runbookctl --json=p'), ['pretty'])
        self.assertEqual(self.complete('runbookctl --js'), ['--json='])
        self.assertEqual(self.complete('runbookctl verify test_comp'), ['test_completion.py'])
        self.assertIn('list', self.complete('runbookctl '))


if __name__ == '__main__':
    main()
