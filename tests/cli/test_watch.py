"""watch: drawn in place on a terminal, a line per change elsewhere."""

import json
import signal

from cli_harness import TestCase, main, wait_until

HEAD = '● ship, run %d: '


class Base(TestCase):
    def start(self, *beats):
        self.fake.auto(*beats)
        self.ok('start', 'ship')
        self.fake.calls()
        return self.fake.last()


class OnTerminal(Base):
    def test_a_run(self):
        run = self.start(['work'])
        t = self.terminal('watch', str(run))
        t.wait_for(HEAD % run + 'running', '0/2 activities, 1 running', '▶ build', '└─▶ dist', '▶ step-1', '○ sign-off')
        self.fake.beat(run, 'worked')
        t.wait_for('1/2 activities', '✔ build', gone=['step-1'])
        self.fake.beat(run, 'hold')
        t.wait_for('1 waiting', '└─◆ qa', '◆ Sign-off  runbookctl --user approve %d/qa' % run)
        self.fake.beat(run, 'answered')
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)
        screen = t.wait_for('2/2 activities', 'Run %d (ship) ended: success' % run)
        self.assertEqual(screen.count('● ship'), 1)     # drawn over, not below

    def ticks(self, n):
        self.fake.calls()
        wait_until(lambda: self.fake.calls('Describe'), 'a tick')
        for _ in range(n - 1):
            wait_until(lambda: self.fake.calls('Describe'), 'a tick')

    def test_in_place_and_below_what_was_there(self):
        run = self.start(['work'])
        t = self.terminal('watch', str(run))
        t.wait_for('▶ dist')
        self.ticks(3)
        screen = t.screen()
        self.assertEqual((screen.count('● ship'), screen.count('▶ dist')), (1, 1))
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)
        t.wait_for('▶ dist', 'Run %d goes on. Come back with: runbookctl --user watch %d' % (run, run))
        self.assertEqual(self.fake.calls('Cancel'), [])

    def test_resize(self):
        run = self.start(['work'])
        t = self.terminal('watch', str(run), width=100, height=30)
        t.wait_for('▶ dist')
        for width, height in ((40, 30), (120, 30), (30, 12), (100, 30)):
            t.resize(width, height)
            self.ticks(2)
            screen = t.wait_for('● ship', '▶ dist')
            self.assertEqual((screen.count('● ship'), screen.count('▶ dist')), (1, 1), screen)
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    def test_more_than_fits(self):
        run = self.start(['work'], ['grow', 100])
        t = self.terminal('watch', str(run), height=20)
        screen = t.wait_for(HEAD % run, 'part-99')      # what moves is shown, what is done makes room
        self.assertNotIn('part-50', screen)
        self.ticks(2)
        self.assertEqual(t.screen().count('● ship'), 1)
        t.type('C-c')
        t.wait_exit()

    def test_more_that_moves_than_fits(self):
        run = self.start(*[['grow', 1]] * 40)
        t = self.terminal('watch', str(run), height=20)
        t.wait_for(HEAD % run, 'more lines')
        self.ticks(2)
        self.assertEqual(t.screen().count('● ship'), 1)
        t.type('C-c')
        t.wait_exit()

    def test_all_runs(self):
        run = self.start()
        t = self.terminal('watch')
        t.wait_for('runs in progress', '%5d  ship' % run, '◆     2  deploy', '◆ Deploy?  runbookctl --user approve 2/qa')
        self.fake.beat(run, 'end')
        t.wait_for('runs in progress', gone=['%5d  ship' % run])
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)

    def test_the_cursor_comes_back(self):
        run = self.start()
        t = self.terminal('watch', str(run))
        t.wait_for(HEAD % run)

        def cursor():
            import subprocess
            return subprocess.run(t.tmux('display', '-p', '#{cursor_flag}'), env=t.env, stdout=subprocess.PIPE, check=True).stdout.strip()
        wait_until(lambda: cursor() == b'0', 'the cursor to be hidden')
        t.type('C-c')
        t.wait_exit()
        wait_until(lambda: cursor() == b'1', 'the cursor to come back')


class NotToBeRead(Base):
    def test_who_is_asked_sees_where_it_stands(self):
        """Names and states are for everybody, so whoever has to answer needs no password to get there."""
        run = self.start(['work'], ['worked'], ['hold'])
        self.fake.refuse('Describe', 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired', 'No.')
        t = self.terminal('watch', str(run))
        t.wait_for(HEAD % run + 'on-hold', '1/2 activities, 1 waiting', '└─◆ qa', 'Names and states only', '◆ Sign-off  runbookctl --user approve %d/qa' % run, 'Enter: answer here')
        self.assertEqual(self.fake.questions('Describe'), [False])
        t.type('Enter')
        t.wait_for('[a]pprove, [r]eject, [s]kip?')
        t.type('s', 'Enter')
        self.fake.beat(run, 'answered')
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)
        t.wait_for(HEAD % run + 'success', '2/2 activities')
        self.assertEqual(len(self.fake.calls('Describe')), 1)

    def test_who_is_not_asked_may_give_a_password(self):
        run = self.start(['work'])
        self.fake.refuse('Describe', 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired', 'No.')
        t = self.terminal('watch', str(run))
        t.wait_for('└─▶ dist', gone=['Names and states only'])
        self.assertEqual(self.fake.questions('Describe')[:2], [False, True])
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)


class NoTerminal(Base):
    def watch(self, *args):
        p = self.fake.popen('watch', *args)
        self.addCleanup(p.kill)
        return p

    def test_a_line_per_change(self):
        run = self.start()
        p = self.watch(str(run))

        def line():
            return p.stdout.readline().split('  ', 1)[1].rstrip('\n')
        self.assertEqual(line(), 'ship  running  running')
        self.fake.beat(run, 'work')
        self.assertEqual(line(), 'dist  running')
        self.fake.beat(run, 'worked')
        self.assertEqual(line(), 'dist  success')
        self.fake.beat(run, 'hold')
        self.assertEqual(line(), 'qa  on-hold  approval: runbookctl --user approve %d/qa (or reject)' % run)
        self.assertEqual(line(), 'ship  on-hold  1 activity requires your input')
        self.fake.beat(run, 'end', 'failed')
        self.assertIn('ship  failed  failed', p.stdout.read())
        self.assertEqual(p.wait(), 1)

    def test_json_lines(self):
        run = self.start(['work'])
        p = self.watch('--json=short', str(run))
        self.assertEqual(json.loads(p.stdout.readline())['state'], 'running')
        self.fake.beat(run, 'hold')
        self.assertEqual(json.loads(p.stdout.readline())['state'], 'on-hold')
        self.fake.beat(run, 'end')
        self.assertEqual([json.loads(line)['state'] for line in p.stdout.read().splitlines()], ['success'])
        self.assertEqual(p.wait(), 0)

    def test_all(self):
        run = self.start()
        p = self.watch()
        seen = ''
        while '%d (ship)  running' % run not in seen:
            seen += p.stdout.readline()
        self.fake.beat(run, 'end')
        while '%d (ship)  ended' % run not in seen:
            line = p.stdout.readline()
            self.assertTrue(line)
            seen += line
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(), 130)

    def test_a_run_that_has_ended(self):
        p = self.watch('1')
        self.assertEqual(p.wait(), 0)
        self.assertIn('ship  success', p.stdout.read())


if __name__ == '__main__':
    main()
