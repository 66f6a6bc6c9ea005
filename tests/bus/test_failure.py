"""Failures that wait for a person: what is told of them, and the ways on: Retry, Ignore, Abort, SetInputs, fix and continue."""
import json
import os

import dbus

import harness
from harness import ACTIVITY, ASK, INVALID_ARGS, RUN, UNKNOWN_OBJECT, Signals

NO_UID = 4294967295

HELD = '''
inputs:
  version: {type: string, default: '1'}
  count: {type: integer, default: 1}
  locked: {type: string, default: a, fixed: true}
phases:
  - name: build
    activities:
      - name: compile
        run: 'echo artifact=one >>"$RUNBOOK_OUTPUT"'
      - name: test
        steps:
          - name: look
            run: 'echo "${{ inputs.version }} ${{ inputs.count }}"; test "${{ inputs.count }}" = 2 || exit 7; echo report=fine >>"$RUNBOOK_OUTPUT"'
  - name: ship
    activities:
      - name: upload
        run: 'echo "${{ toJSON(activities.test.outputs) }} ${{ activities.compile.outputs.artifact }}"'
'''

BROKEN = '''
phases:
  - name: build
    activities:
      - {name: compile, needs: [], run: 'echo compiled'}
      - {name: test, needs: [compile], steps: [{name: first, run: 'echo first'}, {name: typo, run: 'exit 3'}]}
      - {name: gone, needs: [test], run: 'true'}
  - name: ship
    activities:
      - {name: upload, run: 'echo upload'}
'''

FIXED = '''
inputs:
  count: {type: integer, default: 1}
phases:
  - name: build
    activities:
      - {name: extra, needs: [], run: 'echo extra'}
      - {name: compile, needs: [], run: 'echo compiled'}     # moved, and what is written differs only here
      - {name: test, needs: [compile], run: 'echo "better ${{ inputs.count }}"'}
  - name: ship
    activities:
      - {name: check, run: 'echo check'}
      - {name: upload, run: 'echo upload'}
'''


def options(**kwargs):
    return dbus.Dictionary({k: dbus.Dictionary(v, signature='sv') if isinstance(v, dict) else v for k, v in kwargs.items()}, signature='sv')


class Base(harness.TestCase):
    def held(self, runbook='held', inputs=None):
        run = self.daemon.start_run(runbook, inputs)
        run.wait_state('on-hold')
        return run

    def retry(self, run, name='test', **kwargs):
        run.activity(name, 'Retry', 'a{sv}', options(**kwargs))

    def attempts(self, run, name='test'):
        return [(a['number'], a['cause'], a['state']) for a in self.of(run, name)['attempts']]

    @staticmethod
    def of(run, name='test'):
        return json.loads(run.activity(name, 'Describe'))


class Decisions(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('held', HELD), ('ask', ASK)):
            cls.daemon.write_runbook(name, text)

    def setUp(self):
        self.signals = Signals(self.daemon)

    def tearDown(self):
        self.signals.close()

    def resolved(self, run, count=1):
        """Those of this run: what another test left behind may still be told."""
        def seen():
            return [s[3] for s in self.signals.of('RequestResolved') if s[3][0] == run.activity_path('test')]
        harness.wait_until(lambda: len(seen()) >= count, 'RequestResolved')
        self.signals.settle()
        return [(str(s[1]), int(s[2])) for s in seen()]

    # -- what is told

    def test_properties(self):
        """S0.15, S5.3: on hold for a decision"""
        run = self.held()
        p = self.daemon.get_all(run.activity_path('test'), ACTIVITY)
        self.assertEqual({k: v for k, v in p.items() if k != 'Approvers'},
                         {'Name': 'test', 'Phase': 'build', 'State': 'on-hold', 'WaitingFor': 'decision', 'Title': '', 'Deadline': 0, 'Attempt': 1, 'NextRetryAt': 0})
        self.assertEqual(list(p['Approvers']), [])
        p = run.get_all()
        self.assertEqual((p['State'], p['PendingRequests'], p['StatusText'], p['FinishedAt']), ('on-hold', 1, '1 activity requires your input', 0))
        self.assertEqual([str(x[1]) for x in p['Phases']], ['on-hold', 'pending'])
        self.retry(run, Inputs={'count': 2})
        self.assertEqual(run.wait_ended(), 'success')
        p = self.daemon.get_all(run.activity_path('test'), ACTIVITY)
        self.assertEqual((p['State'], p['WaitingFor'], p['Deadline'], p['Attempt']), ('success', '', 0, 2))
        self.assertEqual(run.get('PendingRequests'), 0)

    def test_signals(self):
        """S0.15, S0.19"""
        run = self.held()
        path = run.activity_path('test')
        seen = self.signals.wait('InputRequired')[0][3]
        self.assertEqual((tuple(seen[:6]), list(seen[6]), seen[7]), ((run.id, path, 'held', 'test', 'decision', ''), [], 0))
        self.retry(run)
        self.signals.wait('InputRequired', 2)
        self.assertEqual(self.resolved(run), [('retried', os.getuid())])
        run.wait_state('on-hold')
        run.activity('test', 'Ignore', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.resolved(run, 2), [('retried', os.getuid()), ('ignored', os.getuid())])
        waiting = [str(c['WaitingFor']) for c, _ in self.signals.changes(path) if 'WaitingFor' in c]
        self.assertEqual(waiting, ['decision', '', 'decision', ''])
        states = [str(c['State']) for c, _ in self.signals.changes(run.path, RUN) if 'State' in c]
        self.assertEqual(states[-1], 'success')
        self.assertIn('on-hold', states)

    def test_requests(self):
        """S0.15, S0.18: what is asked is the error"""
        run = self.held()
        row = next(r for r in self.daemon.manager('ListRequests') if r[0] == run.id)
        error = self.of(run)['attempts'][0]['error']
        self.assertEqual(tuple(row)[:6], (run.id, run.activity_path('test'), 'test', 'decision', '', error['message']))
        self.assertEqual((list(row[6]), row[7]), ([], 0))
        request = json.loads(run.activity('test', 'GetRequest'))
        self.assertEqual((request['kind'], request['error']['code'], request['error']['message']), ('decision', 'EXIT', error['message']))
        run.activity('test', 'Abort', 'a{sv}', {})
        run.wait_ended()
        self.assertEqual([r for r in self.daemon.manager('ListRequests') if r[0] == run.id], [])
        with self.error('WrongState'):
            run.activity('test', 'GetRequest')

    # -- the ways on

    def test_retry(self):
        """S0.3, S0.14: a new attempt of this activity alone"""
        run = self.held()
        self.retry(run, Comment='once more')
        harness.wait_until(lambda: run.activity_get('test', 'Attempt') == 2 and run.get('State') == 'on-hold', 'the second attempt')
        self.assertEqual(self.attempts(run), [(1, 'initial', 'failed'), (2, 'manual', 'failed')])
        self.assertEqual(self.attempts(run, 'compile'), [(1, 'initial', 'success')])
        entry = next(e for e in run.history() if e[3] == 'activity-decided')
        self.assertEqual((int(entry[2]), str(entry[4])), (os.getuid(), 'test'))
        data = json.loads(entry[5])
        self.assertEqual((data['action'], data['reason']), ('retry', 'once more'))
        run.call('Cancel', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.assertEqual(self.resolved(run, 2), [('retried', os.getuid()), ('cancelled', NO_UID)])

    def test_retry_with_inputs(self):
        """S0.3: what is text stands for what the input's type says; old and new value are in the history"""
        run = self.held()
        self.retry(run, Inputs={'count': '2', 'version': '5'})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.call('GetInputs'), {'version': '5', 'count': 2, 'locked': 'a'})
        self.assertEqual((run.log('test', attempt=1), run.log('test')), ('1 1\n', '5 2\n'))
        entry = next(e for e in run.history() if e[3] == 'inputs-changed')
        self.assertEqual(int(entry[2]), os.getuid())
        self.assertEqual(json.loads(entry[5])['changes'], {'count': {'old': 1, 'new': 2}, 'version': {'old': '1', 'new': '5'}})

    def test_set_inputs(self):
        run = self.held()
        run.call('SetInputs', 'a{sv}a{sv}', {'count': '2'}, {'Comment': 'two'})
        self.assertEqual((run.get('State'), run.call('GetInputs')['count']), ('on-hold', 2))
        n = len(run.history())
        run.call('SetInputs', 'a{sv}a{sv}', {'count': dbus.Byte(2)}, {})
        self.assertEqual(len(run.history()), n, 'nothing was changed, and it is in the history')
        self.retry(run)
        self.assertEqual(run.wait_ended(), 'success')
        with self.error('WrongState'):
            run.call('SetInputs', 'a{sv}a{sv}', {'count': 3}, {})

    def test_ignore(self):
        """S0.3: waived, with outputs for what comes later; a string stays a string"""
        run = self.held()
        run.activity('test', 'Ignore', 'a{sv}', options(Outputs={'report': '7', 'n': dbus.Int32(5)}, Comment='known'))
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual((run.activity_get('test', 'State'), run.get('HadErrors')), ('ignored', True))
        self.assertEqual(self.of(run)['outputs'], {'report': '7', 'n': 5})
        log = run.log('upload')
        self.assertEqual((json.loads(log.rsplit(' ', 1)[0]), log.rsplit(' ', 1)[1]), ({'report': '7', 'n': 5}, 'one\n'))
        data = run.events('activity-decided')[0]
        self.assertEqual((data['action'], data['reason'], data['outputs']), ('ignore', 'known', {'report': '7', 'n': 5}))
        self.assertEqual(self.resolved(run), [('ignored', os.getuid())])

    def test_abort(self):
        """S0.3"""
        run = self.held()
        run.activity('test', 'Abort', 'a{sv}', {'Comment': 'no way'})
        self.assertEqual(run.wait_ended(), 'failed')
        self.assertEqual((run.activity_get('test', 'State'), run.activity_get('upload', 'State')), ('failed', 'skipped'))
        self.assertIn('no way', json.dumps(run.events('activity-decided')))
        self.assertEqual(self.resolved(run), [('aborted', os.getuid())])

    def test_restart(self):
        """A held failure is held over a restart, and the way on is the same."""
        run = self.held()
        before = self.daemon.manager('ListRequests')
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.daemon.manager('ListRequests'), before)
        self.assertEqual(run.activity_get('test', 'WaitingFor'), 'decision')
        self.retry(run, Inputs={'count': 2})
        self.assertEqual(run.wait_ended(), 'success')

    def test_interrupted(self):
        """S0.15: onInterrupt: hold asks as well"""
        self.daemon.write_runbook('interrupted', """
phases:
  - name: main
    activities:
      - {name: test, onInterrupt: hold, run: "until [ -e '%s/interrupted' ]; do sleep 0.01; done"}
""" % self.daemon.scratch)
        run = self.daemon.start_run('interrupted')
        run.wait_activity('test', 'running')
        self.daemon.kill9()
        self.daemon.start()
        run.wait_state('on-hold')
        self.assertEqual(run.activity_get('test', 'WaitingFor'), 'decision')
        self.assertEqual(json.loads(run.activity('test', 'GetRequest'))['error']['code'], 'INTERRUPTED')
        with open(os.path.join(self.daemon.scratch, 'interrupted'), 'w', encoding='utf-8'):
            pass
        self.retry(run)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run), [(1, 'initial', 'interrupted'), (2, 'manual', 'success')])

    def test_paused(self):
        """A decision in a paused run is taken at once and carried out when the run goes on; there is one."""
        run = self.held()
        run.call('Pause', 'a{sv}', {})
        self.retry(run, Inputs={'count': 2})
        self.assertEqual(self.resolved(run), [('retried', os.getuid())])
        self.assertEqual((run.get('State'), run.activity_get('test', 'WaitingFor'), run.activity_get('test', 'Attempt')), ('paused', '', 1))
        self.assertEqual([r for r in self.daemon.manager('ListRequests') if r[0] == run.id], [])
        for method in ('Retry', 'Ignore', 'Abort'):
            with self.error('AlreadyAnswered'):
                run.activity('test', method, 'a{sv}', {})
        run.call('Resume', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'success')

    # -- refusals

    def test_wrong_state(self):
        run = self.held()
        for method in ('Retry', 'Ignore', 'Abort'):
            with self.error('WrongState'):
                run.activity('upload', method, 'a{sv}', {})
        for method in ('Approve', 'Reject'):
            with self.error('WrongState'):
                run.activity('test', method, 'a{sv}', {})
        asking = self.held('ask')
        for method in ('Retry', 'Ignore', 'Abort'):
            with self.error('WrongState'):
                asking.activity('sign-off', method, 'a{sv}', {})
        self.assertEqual((run.get('State'), asking.get('State')), ('on-hold', 'on-hold'))
        for r in (run, asking):
            r.call('Cancel', 'a{sv}', {})
            r.wait_ended()
        for method in ('Retry', 'Ignore', 'Abort'):
            with self.error('WrongState'):
                run.activity('test', method, 'a{sv}', {})

    def test_already_succeeded(self):
        """S2.5: and the error says what does it"""
        run = self.held()
        with self.error('AlreadySucceeded'):
            self.retry(run, 'compile')
        try:
            self.retry(run, 'compile')
        except dbus.DBusException as e:
            self.assertIn('rerun', e.get_dbus_message())
            self.assertIn('--only', e.get_dbus_message())
        self.assertEqual(self.attempts(run, 'compile'), [(1, 'initial', 'success')])
        run.call('Cancel', 'a{sv}', {})
        run.wait_ended()
        with self.error('AlreadySucceeded'):           # though the run has ended
            self.retry(run, 'compile')

    def test_input_fixed(self):
        """S2.6"""
        run = self.held()
        n = len(run.history())
        with self.error('InputFixed'):
            self.retry(run, Inputs={'locked': 'b', 'count': 2})
        with self.error('InputFixed'):
            run.call('SetInputs', 'a{sv}a{sv}', {'locked': 'b', 'count': 2}, {})
        self.assertEqual((len(run.history()), run.call('GetInputs')['count']), (n, 1))
        run.call('Cancel', 'a{sv}', {})

    def test_invalid_input(self):
        run = self.held()
        n = len(run.history())
        for inputs in ({'nosuch': 1}, {'count': 'many'}, {'count': 1.5}, {'count': 'null'}, {'version': 7}):
            with self.error('InvalidInput'):
                self.retry(run, Inputs=inputs)
            with self.error('InvalidInput'):
                run.call('SetInputs', 'a{sv}a{sv}', dbus.Dictionary(inputs, signature='sv'), {})
        self.assertEqual((len(run.history()), run.get('State')), (n, 'on-hold'))
        run.call('Cancel', 'a{sv}', {})

    def test_options(self):
        run = self.held()
        wrong = {'Retry': ({'Outputs': {}}, {'inputs': {}}, {'Inputs': 'x'}, {'Reload': 1}, {'From': 'x'}), 'Ignore': ({'Inputs': {}}, {'Outputs': 'x'}, {'Reload': True}),
                 'Abort': ({'Outputs': {}}, {'Comment': 1})}
        for method, dictionaries in wrong.items():
            for o in dictionaries:
                with self.error(INVALID_ARGS):
                    run.activity('test', method, 'a{sv}', options(**o))
            with self.error('TooLarge'):
                run.activity('test', method, 'a{sv}', {'Comment': 'x' * 4097})
        with self.error(INVALID_ARGS):
            run.call('SetInputs', 'a{sv}a{sv}', {'count': 2}, {'Inputs': 'x'})
        with self.error(INVALID_ARGS):
            run.call('SetInputs', 'a{sv}', {'count': 2})
        with self.error('TooLarge'):
            run.activity('test', 'Ignore', 'a{sv}', options(Outputs={'x': 'x' * (1024 * 1024)}))
        with self.error('InvalidInput'):               # more than a step may write
            run.activity('test', 'Ignore', 'a{sv}', options(Outputs={'x': 'x' * (256 * 1024)}))
        self.assertEqual(run.get('State'), 'on-hold')
        run.call('Cancel', 'a{sv}', {})

    def test_busctl(self):
        """S5.3: any client will do"""
        run = self.held()
        self.daemon.tool('busctl', '--user', 'call', harness.NAME, run.activity_path('test'), ACTIVITY, 'Retry', 'a{sv}', '1', 'Inputs', 'a{sv}', '1', 'count', 'i', '2')
        self.assertEqual(run.wait_ended(), 'success')


class FixAndContinue(Base):
    """S0.3: the file is mended, and the run goes on with it"""

    def setUp(self):
        self.file = self.daemon.write_runbook('broken', BROKEN)
        self.signals = Signals(self.daemon)

    def tearDown(self):
        self.signals.close()

    def test_reload(self):
        run = self.held('broken')
        gone, upload = run.activity_path('gone'), run.activity_path('upload')
        self.daemon.write_runbook('broken', FIXED)
        self.assertEqual(run.call('GetDefinition'), BROKEN)
        self.retry(run, Reload=True, Inputs={'count': '5'})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.call('GetDefinition'), FIXED)
        self.assertEqual([(str(a[0]), str(a[2]), int(a[3])) for a in run.call('ListActivities')],
                         [('extra', 'success', 1), ('compile', 'success', 1), ('test', 'success', 2), ('check', 'success', 1), ('upload', 'success', 1)])
        self.assertEqual((run.log('test'), run.log('compile')), ('better 5\n', 'compiled\n'))
        with self.error(UNKNOWN_OBJECT):
            self.daemon.get(gone, ACTIVITY, 'State')
        self.assertEqual(self.daemon.get(upload, ACTIVITY, 'State'), 'success')
        data = run.events('definition-changed')[0]
        self.assertRegex(data['definition'], '^[0-9a-f]{64}$')
        self.assertNotEqual(data['definition'], data['previous'])

    def test_old_attempt(self):
        """An attempt keeps the steps that it had."""
        run = self.held('broken')
        self.daemon.write_runbook('broken', FIXED)
        self.retry(run, Reload=True)
        self.assertEqual(run.wait_ended(), 'success')
        first, second = self.of(run)['attempts']
        self.assertEqual(([s['id'] for s in first['steps']], [s['id'] for s in second['steps']]), (['first', 'typo'], ['step-1']))
        self.assertEqual(run.log('test', 'first', 1), 'first\n')
        self.assertEqual(run.log('test', 'typo', 1), '')
        with self.error('NoSuchStep'):
            run.log('test', 'typo', 2)

    def test_signals(self):
        """Each object tells its own changes, though the activities have other numbers now."""
        run = self.held('broken')
        self.signals.wait('InputRequired')
        self.signals.settle()
        del self.signals.seen[:]
        self.daemon.write_runbook('broken', FIXED)
        self.retry(run, Reload=True)
        self.assertEqual(run.wait_ended(), 'success')
        self.signals.wait('RunFinished')
        self.signals.settle()
        self.assertTrue(any(list(invalidated) == ['Phases'] for _, invalidated in self.signals.changes(run.path)))
        self.assertEqual(self.signals.changes(run.path + '/activity/compile'), [], 'it was done before')
        self.assertEqual(self.signals.changes(run.path + '/activity/gone'), [])
        for name, before in (('extra', ('pending', 0)), ('test', ('on-hold', 1)), ('check', ('pending', 0)), ('upload', ('pending', 0))):
            values = dict(zip(('State', 'Attempt'), before))
            for changed, _ in self.signals.changes(run.activity_path(name)):
                for key in values:
                    if key in changed:
                        self.assertNotEqual(changed[key], values[key], (name, key))
                        values[key] = changed[key]
            self.assertEqual(values, {'State': 'success', 'Attempt': before[1] + 1}, name)

    def test_restart(self):
        run = self.held('broken')
        self.daemon.write_runbook('broken', FIXED.replace("run: 'echo upload'", "approval: {title: Go on?}"))
        self.retry(run, Reload=True)
        run.wait_state('on-hold')
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual(run.activity_get('upload', 'WaitingFor'), 'approval')
        run.approve('upload')
        self.assertEqual(run.wait_ended(), 'success')

    def test_definition_changed(self):
        """What has already run stays as it was; the error says where it would not."""
        run = self.held('broken')
        n = len(run.history())
        self.daemon.write_runbook('broken', FIXED.replace('echo compiled', 'echo other'))
        with self.error('DefinitionChanged'):
            self.retry(run, Reload=True)
        try:
            self.retry(run, Reload=True)
        except dbus.DBusException as e:
            self.assertIn('compile', e.get_dbus_message())
            self.assertIn('echo other', e.get_dbus_message())
        self.assertEqual((len(run.history()), run.get('State'), run.call('GetDefinition')), (n, 'on-hold', BROKEN))
        self.daemon.write_runbook('broken', FIXED)
        self.retry(run, Reload=True)
        self.assertEqual(run.wait_ended(), 'success')

    def test_file(self):
        run = self.held('broken')
        self.daemon.write_runbook('broken', 'phases: 7\n')
        with self.error('InvalidRunbook'):
            self.retry(run, Reload=True)
        with self.error('InvalidRunbook'):
            self.retry(run, Reload=True, Inputs={'count': '5'})
        os.unlink(self.file)
        with self.error('NoSuchRunbook'):
            self.retry(run, Reload=True)
        self.assertEqual(run.get('State'), 'on-hold')
        self.retry(run)                                # without it, nothing needs the file
        harness.wait_until(lambda: run.activity_get('test', 'Attempt') == 2 and run.get('State') == 'on-hold', 'the second attempt')
        run.call('Cancel', 'a{sv}', {})


class HoldTimeout(Base):
    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nHoldTimeoutSec=200ms\n')

    def test_timeout(self):
        """S0.15: nobody decided in time"""
        self.daemon.write_runbook('held', HELD)
        signals = Signals(self.daemon)
        run = self.daemon.start_run('held')
        self.assertEqual(run.wait_ended(), 'timed-out')
        signals.wait('RequestResolved')
        signals.settle()
        opened = signals.of('InputRequired')[0][3]
        self.assertEqual(str(opened[4]), 'decision')
        self.assertGreater(opened[7], run.get('StartedAt'))
        path = run.activity_path('test')
        self.assertEqual([s[3] for s in signals.of('RequestResolved')], [(path, 'timeout', NO_UID)])
        deadlines = [c['Deadline'] for c, _ in signals.changes(path) if 'Deadline' in c]
        self.assertEqual(deadlines, [opened[7], 0])
        self.assertIn('INPUT_TIMEOUT', json.dumps(self.of(run)) + json.dumps(run.events('activity-finished')))
        signals.close()


if __name__ == '__main__':
    harness.main()
