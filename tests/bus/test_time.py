"""Runs that wait: a start at a date and time, StartNow, Reschedule, Pause and Resume, the next try of a whole run."""
import os
import time

import dbus

import harness
from harness import ASK, HELLO, INVALID_ARGS, RUN, Signals

HOUR = 3600 * 1000000
SOON = 2 * 1000000                              # must not have passed when the daemon reads it

PHASES = '''
inputs:
  version: {type: string, required: true}
phases:
  - name: one
    activities: [{name: a, run: 'echo "a ${{ inputs.version }}"'}]
  - name: two
    activities: [{name: b, run: echo b}]
'''

AGAIN = '''
retries: {max: 1, initialInterval: 1h, maxInterval: 1h}
phases:
  - name: main
    activities: [{name: a, run: test -e '%s/again'}]
'''


def now():
    return int(time.time() * 1000000)


class Times(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('hello', HELLO), ('ask', ASK), ('phases', PHASES)):
            cls.daemon.write_runbook(name, text)

    def setUp(self):
        self.signals = Signals(self.daemon)

    def tearDown(self):
        self.signals.close()

    def scheduled(self, at=None, runbook='hello', **options):
        return self.daemon.start_run(runbook, StartAt=dbus.UInt64(at or now() + HOUR), **options)

    def of_run(self, run, name):
        self.signals.settle()
        return [c[name] for c, _ in self.signals.changes(run.path, RUN) if name in c]

    def reschedule(self, run, at, **options):
        run.call('Reschedule', 'ta{sv}', dbus.UInt64(at), dbus.Dictionary(options, signature='sv'))

    def touch(self, name):
        with open(os.path.join(self.daemon.scratch, name), 'w', encoding='utf-8'):
            pass

    # -- a start at a date and time

    def test_scheduled(self):
        """S1.4"""
        at = now() + HOUR
        run = self.scheduled(at)
        p = run.get_all()
        self.assertEqual((p['State'], p['ScheduledFor'], p['StartedAt'], p['FinishedAt'], p['Attempt']), ('scheduled', at, 0, 0, 1))
        self.assertTrue(p['StatusText'])
        self.assertEqual(run.activity_get('greet', 'State'), 'pending')
        run.call('Cancel', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.assertEqual(run.get('StartedAt'), 0)

    def test_it_starts(self):
        """S1.4"""
        at = now() + SOON
        run = self.scheduled(at)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertGreaterEqual(run.get('StartedAt'), at)

    def test_times(self):
        for at in (1, now() - SOON, 253402300800000000, 2 ** 64 - 1):
            with self.error('InvalidInput'):
                self.scheduled(at)
        self.assertEqual(self.daemon.start_run('hello', StartAt=dbus.UInt64(0)).wait_ended(), 'success')

    def test_start_now(self):
        """S1.5: before its time, and not again at its time"""
        at = now() + SOON
        run, later = self.scheduled(at), self.scheduled(at + 1)
        run.call('StartNow', 'a{sv}', {'Comment': 'in a hurry'})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(later.wait_ended(), 'success')        # so that time has come
        self.assertEqual([str(e[3]) for e in run.history() if e[3] in ('run-started', 'run-start-now')], ['run-start-now', 'run-started'])
        entry = next(e for e in run.history() if e[3] == 'run-start-now')
        self.assertEqual(int(entry[2]), os.getuid())
        self.assertIn('in a hurry', entry[5])
        self.assertEqual([str(s) for s in self.of_run(run, 'State')][-1], 'success')
        with self.error('WrongState'):
            run.call('StartNow', 'a{sv}', {})

    def test_start_now_of_others(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        with self.error('WrongState'):
            run.call('StartNow', 'a{sv}', {})
        run.call('Cancel', 'a{sv}', {})

    def test_reschedule(self):
        """S1.4"""
        at = now() + HOUR
        run = self.scheduled(at)
        self.reschedule(run, at + HOUR, Comment='later')
        self.assertEqual((run.get('State'), run.get('ScheduledFor')), ('scheduled', at + HOUR))
        self.assertEqual(self.of_run(run, 'ScheduledFor'), [at + HOUR])
        self.assertIn('later', next(e for e in run.history() if e[3] == 'run-rescheduled')[5])
        self.reschedule(run, now() + SOON)
        self.assertEqual(run.wait_ended(), 'success')
        with self.error('WrongState'):
            self.reschedule(run, at)

    def test_reschedule_arguments(self):
        run = self.scheduled()
        for at in (0, 1, now() - SOON, 253402300800000000, 2 ** 64 - 1):
            with self.error('InvalidInput'):
                self.reschedule(run, at)
        with self.error(INVALID_ARGS):
            self.reschedule(run, now() + HOUR, StartAt=dbus.UInt64(1))
        with self.error(INVALID_ARGS):
            run.call('Reschedule', 'xa{sv}', 1, {})
        with self.error('TooLarge'):
            self.reschedule(run, now() + HOUR, Comment='x' * 4097)
        run.call('Cancel', 'a{sv}', {})

    def test_restart(self):
        """S1.4: it is on disk"""
        at = now() + HOUR
        run = self.scheduled(at)
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual((run.get('State'), run.get('ScheduledFor')), ('scheduled', at))
        run.call('StartNow', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')

    def test_time_that_passed_meanwhile(self):
        """S1.4: while nobody was there; it starts late, once"""
        at = now() + SOON
        run = self.scheduled(at)
        self.daemon.kill9()
        harness.wait_until(lambda: now() > at, 'the time')
        self.daemon.start()
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([str(e[3]) for e in run.history()].count('run-started'), 1)

    # -- only some phases

    def test_only(self):
        run = self.daemon.start_run('phases', {'version': '1'}, Only=['two'])
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([tuple(map(str, p)) for p in run.get('Phases')], [('one', 'skipped', 'not-selected'), ('two', 'success', '')])

    def test_only_nothing(self):
        for only in (['three'], ['a'], ['two', 'x']):
            with self.error('InvalidInput'):
                self.daemon.start_run('phases', {'version': '1'}, Only=only)
        with self.error(INVALID_ARGS):
            self.daemon.start_run('phases', {'version': '1'}, Only=dbus.Array([], signature='s'))
        with self.error(INVALID_ARGS):
            self.daemon.start_run('phases', {'version': '1'}, Only='two')
        with self.error('TooLarge'):
            self.daemon.start_run('phases', {'version': '1'}, Only=['x' * 257])

    def test_strict(self):
        with self.error('InvalidInput'):
            self.daemon.start_run('phases', StartAt=dbus.UInt64(now() + HOUR), Strict=True)

    # -- pause

    def test_pause(self):
        """S5.3: what runs goes on, nothing new starts"""
        self.daemon.write_runbook('two', '''
phases:
  - name: main
    activities:
      - {name: first, run: "until [ -e '%s/pause' ]; do sleep 0.01; done"}
      - {name: second, run: echo second}
''' % self.daemon.scratch)
        run = self.daemon.start_run('two')
        run.wait_activity('first', 'running')
        run.call('Pause', 'a{sv}', {'Comment': 'lunch'})
        self.assertEqual((run.get('State'), run.activity_get('first', 'State')), ('paused', 'running'))
        self.assertTrue(run.get('StatusText'))
        with self.error('WrongState'):
            run.call('Pause', 'a{sv}', {})
        self.touch('pause')
        harness.wait_until(lambda: run.describe()['activities'][0]['attempts'][0]['steps'][0]['state'] == 'success', 'the end of the step')
        self.assertEqual(self.daemon.start_run('hello').wait_ended(), 'success')       # others go on
        self.assertEqual((run.get('State'), run.activity_get('second', 'State'), run.activity_get('second', 'Attempt')), ('paused', 'pending', 0))
        run.call('Resume', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')
        with self.error('WrongState'):
            run.call('Resume', 'a{sv}', {})
        with self.error('WrongState'):
            run.call('Pause', 'a{sv}', {})
        self.assertEqual([str(s) for s in self.of_run(run, 'State')][-3:], ['paused', 'running', 'success'])
        self.assertIn('lunch', next(e for e in run.history() if e[3] == 'run-paused')[5])

    def test_pause_of_a_waiting_run(self):
        """What is answered meanwhile takes effect on resume; a restart changes nothing."""
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        run.call('Pause', 'a{sv}', {})
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual((run.get('State'), run.activity_get('sign-off', 'WaitingFor')), ('paused', 'approval'))
        run.approve('sign-off')
        self.assertEqual((run.get('State'), run.activity_get('after', 'Attempt')), ('paused', 0))
        run.call('Resume', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')

    def test_options(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        for method in ('StartNow', 'Pause', 'Resume'):
            with self.error(INVALID_ARGS):
                run.call(method, 'a{sv}', {'Inputs': 'x'})
            with self.error('TooLarge'):
                run.call(method, 'a{sv}', {'Comment': 'x' * 4097})
        self.assertEqual(run.get('State'), 'on-hold')
        run.call('Cancel', 'a{sv}', {})

    # -- the whole run again

    def test_next_try(self):
        """Attempt and NextRetryAt of a run that is tried again as a whole"""
        self.daemon.write_runbook('again', AGAIN % self.daemon.scratch)
        run = self.daemon.start_run('again')
        run.wait_state('queued')
        self.assertEqual(run.get('Attempt'), 1)
        self.assertGreaterEqual(run.get('NextRetryAt'), run.get('StartedAt') + HOUR)
        told = self.of_run(run, 'NextRetryAt')
        self.assertEqual(told, [run.get('NextRetryAt')])
        self.touch('again')
        run.call('StartNow', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual((run.get('Attempt'), run.get('NextRetryAt'), run.activity_get('a', 'Attempt')), (2, 0, 2))
        self.assertEqual(self.of_run(run, 'NextRetryAt')[-1], 0)
        self.assertEqual(self.of_run(run, 'Attempt')[-1], 2)


if __name__ == '__main__':
    harness.main()
