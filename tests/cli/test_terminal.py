"""Colours, symbols, the pager: what a terminal gets, and what takes it away."""

import os

from cli_harness import ESCAPE, TestCase, Terminal, main, program, wait_until
from fake_daemon import HOSTILE

RED = ESCAPE + '[1m' + ESCAPE + '[31m'


class Colours(TestCase):
    def test_on_a_terminal(self):
        t = self.terminal('--no-pager', 'status', '1', width=120)
        t.wait_for('● ship')
        self.assertIn(ESCAPE + '[', t.screen(escapes=True))

    def test_no_color(self):
        for env in ({'NO_COLOR': '1'}, {'NO_COLOR': 'yes'}):
            t = self.terminal('--no-pager', 'status', '1', width=120, **env)
            t.wait_for('└─✔ upload')
            self.assertNotIn(ESCAPE + '[3', t.screen(escapes=True))
        t = self.terminal('--no-pager', 'status', '1', width=120, NO_COLOR='')     # empty is as if not set
        t.wait_for('└─✔ upload')
        self.assertIn(ESCAPE + '[3', t.screen(escapes=True))

    def test_dumb_terminals(self):
        for term in ('TERM=dumb', '-uTERM'):
            t = Terminal(['env', term, program('runbookctl', 'ctl'), '--user', '--no-pager', 'status', '1'], self.fake.environment(), 120, 40)
            self.addCleanup(t.close)
            t.wait_for('└─✔ upload')
            self.assertNotIn(ESCAPE + '[3', t.screen(escapes=True))

    def test_not_in_a_pipe(self):
        for args in (('status', '1'), ('list',), ('--help',), ('history', '1'), ('inbox', '--all')):
            self.assertNotIn(ESCAPE, self.ok(*args, TERM='xterm-256color'))

    def test_nothing_is_wider_than_the_terminal(self):
        for args in (('status', '1'), ('list',), ('history', '1'), ('inbox', '--all'), ('runbooks',)):
            t = self.terminal('--no-pager', '--no-legend', *args, width=60, height=60)
            self.assertEqual(t.wait_exit(), 0)
            wide = Terminal([program('runbookctl', 'ctl'), '--user', '--no-pager', '--no-legend'] + list(args), self.fake.environment(), 200, 60)
            self.addCleanup(wide.close)
            self.assertEqual(wide.wait_exit(), 0)
            self.assertEqual(len(t.screen().rstrip('\n').splitlines()), len(wide.screen().rstrip('\n').splitlines()), args)

    def test_what_is_cut_says_so(self):
        whole = [line.split() for line in self.ok('--no-legend', 'history', '1').splitlines()]
        for width in (60, 75):
            t = self.terminal('--no-pager', '--no-legend', 'history', '1', width=width, height=60)
            self.assertEqual(t.wait_exit(), 0)
            cut = 0
            for line, words in zip(t.screen().splitlines(), whole):
                if line.split() != words:
                    cut += 1
                    self.assertIn('…', line, words)
            self.assertGreater(cut, 0)

    def test_a_history_of_80_columns_says_what_happened(self):
        t = self.terminal('--no-pager', 'history', '1', width=80, height=60)
        self.assertEqual(t.wait_exit(), 0)
        for words in ('run created', 'run started', 'phase started', 'attempt sta', 'attempt ended', 'step ended', 'activity end', 'run ended', 'dist/comp'):
            self.assertIn(words, t.screen())

    def test_hostile_logs(self):
        t = self.terminal('--no-pager', 'logs', '3/a')
        self.assertEqual(t.wait_exit(), 0)
        screen = t.wait_for('evil', 'end')
        self.assertNotIn('\u202e', screen)
        t = self.terminal('--no-pager', 'cat', 'ship')
        t.wait_for('# /etc/runbookd/runbooks/ship.yaml', '# a comment', 'name: build')
        self.assertEqual(t.wait_exit(), 0)

    def test_hostile_arguments(self):
        t = self.terminal('status', HOSTILE)
        self.assertEqual(t.wait_exit(), 64)
        t.wait_for('evil', 'names no run')


class Pager(TestCase):
    def pager(self, name='pager'):
        """A pager that writes down what it was given and in which environment."""
        path = os.path.join(self.fake.scratch, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\n{ echo "LESS=$LESS LESSCHARSET=$LESSCHARSET LESSSECURE=$LESSSECURE args=$*"; cat; } > %s.out.new; mv %s.out.new %s.out\n' % (path, path, path))
        os.chmod(path, 0o755)
        if os.path.exists(path + '.out'):
            os.unlink(path + '.out')
        return path

    def shown(self, path, *args, **env):
        t = self.terminal(*args, **env)
        self.assertEqual(t.wait_exit(), 0)
        if not os.path.exists(path + '.out'):
            return None
        with open(path + '.out', encoding='utf-8') as f:
            return f.read()

    def test_by_pager(self):
        path = self.pager()
        for args in (('list',), ('status', '1'), ('show', '1'), ('runbooks',), ('cat', 'ship'), ('history', '1'), ('inbox', '--all'), ('--help',), ('help', 'start'), ('logs', '1')):
            self.pager()
            self.assertIsNotNone(self.shown(path, *args, PAGER=path), args)
        text = self.shown(path, 'status', '1', PAGER=path + ' -x')
        self.assertTrue(text.startswith('LESS=FRSXMK LESSCHARSET=utf-8 LESSSECURE= args=-x\n'), text)
        self.assertIn(ESCAPE, text)             # it gets colours

    def test_systemds_own_variables_win(self):
        path, other = self.pager('one'), self.pager('two')
        self.assertIn('LESS=FR LESSCHARSET=latin1', self.shown(path, 'list', SYSTEMD_PAGER=path, PAGER=other, SYSTEMD_LESS='FR', SYSTEMD_LESSCHARSET='latin1'))
        self.assertFalse(os.path.exists(other + '.out'))

    def test_none(self):
        path = self.pager()
        for args, env in ((('--no-pager', 'list'), {}), (('list',), {'SYSTEMD_PAGER': ''}), (('list',), {'SYSTEMD_PAGER': 'cat'}), (('--json=short', 'list'), {}), (('logs', '-f', '1'), {}),
                          (('watch', '1'), {}), (('list',), {'TERM_IS': 'dumb'})):
            command = ['env', 'TERM=dumb'] if env.pop('TERM_IS', None) else []
            t = Terminal(command + [program('runbookctl', 'ctl'), '--user'] + list(args), self.fake.environment(PAGER=path, **env), 100, 40)
            self.addCleanup(t.close)
            self.assertEqual(t.wait_exit(), 0)
            self.assertFalse(os.path.exists(path + '.out'), args)
        self.ok('list', PAGER=path)
        self.assertFalse(os.path.exists(path + '.out'))

    def test_secure(self):
        """By sudo no command is taken from the environment, and less may start nothing."""
        path = self.pager()
        less = self.pager('less')
        text = self.shown(less, 'list', PAGER=path, SUDO_UID='1000', PATH=self.fake.scratch + ':' + os.environ['PATH'])
        self.assertIn('LESSSECURE=1', text)
        self.assertFalse(os.path.exists(path + '.out'))
        self.assertIn('LESSSECURE= ', self.shown(path, 'list', PAGER=path, SUDO_UID='1000', SYSTEMD_PAGERSECURE='0'))
        self.pager()
        self.assertIn('LESSSECURE=1', self.shown(path, 'list', PAGER=path, SYSTEMD_PAGERSECURE='1'))

    def test_less_itself(self):
        t = self.terminal('history', '1', width=100, height=10, PAGER='less')
        t.wait_for('run created')
        t.type('G')
        t.wait_for('run ended')
        t.type('q')
        self.assertEqual(t.wait_exit(), 0)

    def test_a_reader_that_leaves(self):
        t = self.terminal('status', '4', '-n', 'all', PAGER='head -n 1')
        wait_until(lambda: os.path.exists(t.status), 'the end')
        self.assertEqual(t.wait_exit() in (0, 1, 141), True)


if __name__ == '__main__':
    main()
