"""start --follow and --wait: what is shown, what is asked, how it ends."""

import os
import re
import signal
import unittest

from cli_harness import ESCAPE, TestCase, main, wait_until
from fake_daemon import HOSTILE, ME, RUN, T0

AWAY_MAX = 30.0                                 # as in attend.h


class Base(TestCase):
    def setUp(self):
        self.fake.auto()
        self.fake.calls()

    def started(self, before):
        """The number of the run that the program has started."""
        return wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')

    def popen(self, *args, **env):
        before = self.fake.last()
        p = self.fake.popen('start', 'ship', *args, **env)
        self.addCleanup(p.kill)
        return p, self.started(before)

    def follow(self, *args, **kwargs):
        before = self.fake.last()
        t = self.terminal('start', 'ship', '--follow', *args, **kwargs)
        return t, self.started(before)


class NoTerminal(Base):
    def follow_to_the_end(self, *args, beats=(), state='success'):
        self.fake.auto(['work'], ['more'], ['worked'], *beats, ['end', state])
        return self.fake.ctl('start', 'ship', '--follow', *args)

    def test_golden(self):
        p = self.follow_to_the_end(beats=(['hold'], ['answered', True, 'alice', 'looks fine']))
        self.assertEqual((p.returncode, p.stderr), (0, b''))
        self.golden('follow', re.sub(r'\b%d\b' % self.fake.last(), 'N', p.stdout.decode()))

    def test_rejected(self):
        p = self.follow_to_the_end(beats=(['hold'], ['answered', False, 'bob', 'no']), state='rejected')
        self.assertEqual(p.returncode, 1)
        self.golden('follow-rejected', re.sub(r'\b%d\b' % self.fake.last(), 'N', p.stdout.decode()))

    def test_exit_statuses(self):
        for state, status in (('success', 0), ('skipped', 0), ('partial-success', 2), ('failed', 1), ('exhausted', 1), ('timed-out', 1), ('rejected', 1), ('cancelled', 1), ('dlq', 1)):
            with self.subTest(state=state):
                self.fake.auto(['end', state])
                self.assertEqual(self.fake.ctl('start', 'ship', '--follow').returncode, status)
                p = self.fake.ctl('start', 'ship', '--wait')
                self.assertEqual((p.returncode, p.stdout.decode()), (status, 'Run %d (ship) ended: %s\n' % (self.fake.last(), state)))
                self.assertEqual(self.fake.ctl('-q', 'start', 'ship', '--wait').stdout, b'')
                self.assertEqual(self.fake.ctl('watch', str(self.fake.last())).returncode, status)

    def test_it_follows(self):
        """Each line as it comes, also one that no signal tells of."""
        p, run = self.popen('--follow')
        self.assertEqual(p.stdout.readline(), 'Started run %d (ship).\n' % run)
        self.fake.beat(run, 'work')
        self.assertEqual(p.stdout.readline(), '▶ build ▸ dist ▸ step-1\n')
        self.assertEqual(p.stdout.readline(), '  hello from dist\n')
        self.fake.beat(run, 'more')
        self.assertEqual(p.stdout.readline(), '  one more line\n')
        self.fake.beat(run, 'worked')
        self.assertEqual(p.stdout.readline(), '✔ build ▸ dist ▸ step-1  2.0s\n')
        self.fake.beat(run, 'end')
        self.assertIn('ended: success', p.stdout.read())
        self.assertEqual(p.wait(), 0)

    def test_waiting_for_a_person_is_said_with_the_command(self):
        p, run = self.popen('--follow')
        self.fake.beat(run, 'hold')
        p.stdout.readline()
        self.assertIn('Sign-off', p.stdout.readline())
        self.assertEqual(p.stdout.readline(), '    runbookctl --user approve %d/qa\n' % run)
        self.fake.beat(run, 'answered')
        self.fake.beat(run, 'end')
        self.assertEqual(p.wait(), 0)

    def test_no_input_ends_with_3(self):
        for how in ('--follow', '--wait'):
            self.fake.auto(['hold'])
            p = self.fake.ctl('start', 'ship', how, '--no-input')
            self.assertEqual(p.returncode, 3)
            self.assertIn('waits for a person', p.stderr.decode())
            self.assertIn('runbookctl --user status %d' % self.fake.last(), p.stderr.decode())

    def test_wait_prints_nothing_else(self):
        p, run = self.popen('--wait')
        for beat in ('work', 'more', 'worked', 'hold', 'answered'):
            self.fake.beat(run, beat)
        self.fake.beat(run, 'end')
        self.assertEqual(p.communicate(), ('Run %d (ship) ended: success\n' % run, ''))

    def test_interrupted(self):
        for how in ('--follow', '--wait'):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):       # 130, 143, 129: as a shell says it
                p, run = self.popen(how)
                wait_until(lambda: self.fake.calls('GetHistory' if how == '--follow' else 'Get'), 'the first look')
                p.send_signal(number)
                _, err = p.communicate()
                self.assertEqual(p.returncode, 128 + number)
                self.assertIn('Run %d goes on. Come back with: runbookctl --user watch %d' % (run, run), err)
                self.assertEqual(self.fake.calls('Cancel'), [])

    def test_cancel_on_exit(self):
        for how in ('--follow', '--wait'):
            p, run = self.popen(how, '--cancel-on-exit')
            wait_until(lambda: self.fake.calls('GetHistory' if how == '--follow' else 'Get'), 'the first look')
            p.send_signal(signal.SIGINT)
            out, _ = p.communicate()
            self.assertEqual(p.returncode, 1)
            self.assertIn('ended: cancelled', out)
            self.assertEqual([c['path'] for c in self.fake.calls('Cancel')], ['/org/runbookd1/run/%d' % run])


class Away(Base):
    def test_a_daemon_that_does_not_come_back(self):
        """AWAY_MAX: after that we give up, with 4."""
        p, run = self.popen('--follow')
        q, _ = self.popen('--wait')
        p.stdout.readline()
        wait_until(lambda: self.fake.calls('Get'), 'the first look')
        self.fake.kill()
        self.assertIn('runbookd is away', p.stderr.readline())
        self.assertEqual((p.wait(), q.wait()), (4, 4))
        self.assertIn("can't be reached", p.stderr.read())
        self.assertTrue(run)
        self.fake.start()

    def test_a_bus_that_ends(self):
        p, _ = self.popen('--follow')
        p.stdout.readline()
        wait_until(lambda: self.fake.calls('GetHistory'), 'the first look')
        self.fake.kill()
        self.fake.bus.stop()
        self.assertEqual(p.wait(), 4)
        self.fake.connection = None
        self.fake.start()


class OnTerminal(Base):
    def asked(self, *args, **kwargs):
        t, run = self.follow(*args, **kwargs)
        self.fake.beat(run, 'hold')
        t.wait_for('[s]kip?')
        return t, run

    def test_approve_with_fields(self):
        t, run = self.asked()
        t.wait_for('sign-off ▸ qa wants an approval', 'Sign-off', 'Ship it?', 'Second line.', 'Who can act: ' + ME)
        t.type('x', 'Enter')
        t.type('a', 'Enter')
        t.wait_for('note (string):')
        t.type('Enter')
        t.wait_for('"note" is required.')
        t.type('all good', 'Enter')
        t.wait_for('level (integer; how sure) [3]:')
        t.type('many', 'Enter')
        t.wait_for('"level" wants a value of type integer')
        t.type('7', 'Enter')
        t.wait_for('answered: approve')
        self.assertEqual([c['args'] for c in self.fake.calls('Approve')], [[{'OpenedAt': T0, 'Fields': {'note': 'all good', 'level': 7}}]])
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)
        t.wait_for('Run %d (ship) ended: success' % run)

    def test_defaults_are_left_to_the_daemon(self):
        t, run = self.asked()
        t.type('approve', 'Enter')
        t.wait_for('note (string):')
        t.type('n', 'Enter')
        t.wait_for('[3]:')
        t.type('Enter')
        t.wait_for('answered: approve')
        self.assertEqual([c['args'] for c in self.fake.calls('Approve')], [[{'OpenedAt': T0, 'Fields': {'note': 'n'}}]])
        self.fake.beat(run, 'end')
        t.wait_exit()

    def test_what_the_daemon_refuses_is_asked_again(self):
        t, run = self.asked()
        t.type('a', 'Enter', 'wrong', 'Enter', 'Enter')
        t.wait_for('field "note" must not be "wrong"')
        t.type('a', 'Enter')
        t.wait_for('note (string) [wrong]:')            # what was typed is what Enter takes
        t.type('better', 'Enter')
        t.wait_for('note (string) [wrong]: better')
        t.type('Enter')
        t.wait_for('answered: approve')
        self.assertEqual([c['args'] for c in self.fake.calls('Approve')], [[{'OpenedAt': T0, 'Fields': {'note': note}}] for note in ('wrong', 'better')])
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    def test_reject_with_a_reason(self):
        t, run = self.asked()
        t.type('r', 'Enter')
        t.wait_for('Why?')
        t.type('not today', 'Enter')
        t.wait_for('answered: reject; not today')
        self.assertEqual([c['args'] for c in self.fake.calls('Reject')], [[{'OpenedAt': T0, 'Comment': 'not today'}]])
        self.fake.beat(run, 'end', 'rejected')
        self.assertEqual(t.wait_exit(), 1)

    def test_skip(self):
        for keys in (('s', 'Enter'), ('C-d',)):
            t, run = self.asked()
            t.type(*keys)
            t.wait_for('Later: runbookctl --user approve %d/qa' % run)
            self.fake.beat(run, 'answered')
            self.fake.beat(run, 'end')
            self.assertEqual(t.wait_exit(), 0)
            self.assertEqual(self.fake.calls('Approve') + self.fake.calls('Reject'), [])

    def test_answered_elsewhere(self):
        t, run = self.asked()
        self.fake.beat(run, 'answered', True, 'bob')
        t.wait_for('That is settled', 'answered: approve, by bob', gone=['[s]kip? a'])
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    def test_output_goes_on_while_it_asks(self):
        t, run = self.asked()
        self.fake.beat(run, 'work')
        screen = t.wait_for('hello from dist')
        self.assertIn('[s]kip?', t.wait_for('[s]kip?'))
        self.assertLess(screen.index('Sign-off'), screen.index('hello from dist'))
        self.assertEqual(t.wait_for('[s]kip?').count('[s]kip?'), 1)
        t.type('C-c')
        t.wait_exit()

    def test_no_input_asks_nothing(self):
        t, run = self.follow('--no-input')
        self.fake.beat(run, 'hold')
        self.assertEqual(t.wait_exit(), 3)
        self.assertNotIn('[s]kip', t.screen())

    def test_control_c(self):
        t, run = self.asked()
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)
        t.wait_for('Run %d goes on. Come back with: runbookctl --user watch %d' % (run, run))
        self.assertEqual(self.fake.calls('Cancel'), [])

    def test_control_c_cancels(self):
        t, run = self.asked('--cancel-on-exit')
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 1)
        t.wait_for('Run %d (ship) ended: cancelled' % run)

    def test_a_hostile_title(self):
        t, run = self.follow()
        self.fake.beat(run, 'hold', HOSTILE)
        screen = t.wait_for('[s]kip?', 'evil')
        self.assertIn('wants an approval', screen)      # it would have been cleared away
        self.assertNotIn(ESCAPE, screen)
        t.type('C-c')
        t.wait_exit()


class Constants(unittest.TestCase):
    def test_the_limit_that_is_tested_is_that_of_the_program(self):
        source = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'src', 'ctl', 'attend.h')
        with open(source, encoding='utf-8') as f:
            self.assertIn('#define AWAY_MAX (%d * USEC_PER_SEC)' % AWAY_MAX, f.read())
        self.assertTrue(RUN)


if __name__ == '__main__':
    main()
