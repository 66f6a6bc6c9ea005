"""Run objects: methods, properties, errors."""
import json

import dbus

import harness
from harness import ASK, HELLO, INVALID_ARGS, RUN

TWO = '''
description: Two phases
inputs:
  who: {type: string, default: world}
phases:
  - name: first
    activities:
      - {name: a, run: 'echo "hello ${{ inputs.who }}"'}
      - {name: b, needs: [], steps: [{name: bad, run: exit 3, continueOnError: true}, {run: echo done}]}
  - name: second
    if: inputs.who == 'nobody'
    activities:
      - {name: c, run: "true"}
'''


class Runs(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('hello', HELLO), ('ask', ASK), ('two', TWO)):
            cls.daemon.write_runbook(name, text)

    def test_properties(self):
        run = self.daemon.start_run('two', {'who': 'Ada'}, Labels=dbus.Dictionary({'k': 'v'}, signature='ss'))
        self.assertEqual(run.wait_ended(), 'success')
        p = run.get_all()
        self.assertEqual(set(p), {'Id', 'Runbook', 'CreatedAt', 'StartedBy', 'Trigger', 'ReplayOf', 'RootRun', 'Labels', 'State', 'StatusText', 'PendingRequests', 'HadErrors',
                                  'ScheduledFor', 'StartedAt', 'FinishedAt', 'NextRetryAt', 'Attempt', 'Phases'})
        self.assertEqual((p['Id'], p['Runbook'], p['StartedBy'], p['Trigger'], p['ReplayOf']), (run.id, 'two', harness.os.getuid(), 'manual', 0))
        self.assertEqual((p['State'], p['PendingRequests'], p['HadErrors'], p['ScheduledFor'], p['NextRetryAt'], p['Attempt']), ('success', 0, True, 0, 0, 1))
        self.assertTrue(0 < p['CreatedAt'] <= p['StartedAt'] <= p['FinishedAt'])
        self.assertTrue(p['StatusText'])
        self.assertEqual(dict(p['Labels']), {'k': 'v'})
        self.assertEqual([tuple(x)[:2] for x in p['Phases']], [('first', 'success'), ('second', 'skipped')])
        self.assertTrue(p['Phases'][1][2], 'a skipped phase has a reason')

    def test_reasons_of_phases(self):
        """Everybody reads properties: the error of an `if`, which tells inputs and definition, is not in them."""
        self.daemon.write_runbook('private', '''
inputs: {key: {type: string}}
phases:
  - {name: one, if: "fromJSON('{\\"private-member\\": 1}')[inputs.key] == 1", activities: [{name: a, run: "true"}]}
  - {name: two, activities: [{name: b, run: "true"}]}
''')
        run = self.daemon.start_run('private', {'key': 'private-value'})
        self.assertEqual(run.wait_ended(), 'failed')
        self.assertEqual([tuple(map(str, p)) for p in run.get('Phases')], [('one', 'failed', ''), ('two', 'skipped', 'it needs phase one, which ended as failed')])
        self.assertIn('private-value', run.describe()['phases'][0]['reason'])

    def test_pending_requests(self):
        """S1.13"""
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        self.assertEqual((run.get('PendingRequests'), run.get('FinishedAt')), (1, 0))
        self.assertEqual(run.get('StatusText'), '1 activity requires your input')
        run.approve('sign-off')
        run.wait_ended()
        self.assertEqual(run.get('PendingRequests'), 0)

    def test_list_activities(self):
        run = self.daemon.start_run('two')
        run.wait_ended()
        rows = [tuple(r) for r in run.call('ListActivities')]
        self.assertEqual(rows, [('a', 'first', 'success', 1, run.path + '/activity/a'), ('b', 'first', 'success', 1, run.path + '/activity/b'),
                                ('c', 'second', 'skipped', 0, run.path + '/activity/c')])

    def test_get_inputs(self):
        run = self.daemon.start_run('two', {'who': 'Ada'})
        self.assertEqual(run.call('GetInputs'), {'who': 'Ada'})

    def test_get_definition(self):
        """A run keeps the definition that it was started from."""
        path = self.daemon.write_runbook('changing', HELLO + '# 1\n')
        run = self.daemon.start_run('changing')
        self.daemon.write_runbook('changing', HELLO + '# 2\n')
        self.assertEqual(run.call('GetDefinition'), HELLO + '# 1\n')
        self.assertEqual(self.daemon.start_run('changing').call('GetDefinition'), HELLO + '# 2\n')
        harness.os.unlink(path)

    def test_history(self):
        """S0.7, S1.10"""
        run = self.daemon.start_run('two')
        run.wait_ended()
        entries = run.call('GetHistory', 'uu', 0, 0)
        self.assertEqual([int(e[0]) for e in entries], list(range(1, len(entries) + 1)))
        self.assertEqual((entries[0][3], entries[-1][3]), ('run-created', 'run-finished'))
        self.assertEqual(int(entries[0][2]), harness.os.getuid())
        self.assertEqual({int(e[2]) for e in entries[1:]}, {4294967295})
        self.assertEqual([e[1] for e in entries], sorted(e[1] for e in entries))
        for e in entries:
            data = json.loads(e[5])
            self.assertIsInstance(data, dict)
            if e[4]:
                self.assertEqual(data['phase' if e[3].startswith('phase-') else 'activity'], e[4])
        bad = [json.loads(e[5]) for e in entries if e[3] == 'step-finished' and e[4] == 'b'][0]
        self.assertEqual((bad['attempt'], bad['step'], bad['state'], bad['exitCode']), (1, 'bad', 'failed', 3))
        self.assertEqual(bad['error']['code'], 'EXIT')

    def test_history_pages(self):
        run = self.daemon.start_run('hello')
        run.wait_ended()
        everything = run.call('GetHistory', 'uu', 0, 0)
        self.assertEqual(run.call('GetHistory', 'uu', 1, 0), everything)
        self.assertEqual(run.call('GetHistory', 'uu', 3, 2), everything[2:4])
        self.assertEqual(run.call('GetHistory', 'uu', len(everything), 10), everything[-1:])
        self.assertEqual(run.call('GetHistory', 'uu', len(everything) + 1, 0), [])
        self.assertEqual(run.call('GetHistory', 'uu', 4294967295, 4294967295), [])

    def test_describe(self):
        run = self.daemon.start_run('two')
        run.wait_ended()
        d = run.describe()
        self.assertEqual((d['id'], d['runbook'], d['state'], d['hadErrors'], d['pendingRequests'], d['inputs'], d['startedBy'], d['replayOf']),
                         (run.id, 'two', 'success', True, 0, {'who': 'world'}, harness.os.getuid(), None))
        self.assertEqual([(p['name'], p['state']) for p in d['phases']], [('first', 'success'), ('second', 'skipped')])
        b = next(a for a in d['activities'] if a['name'] == 'b')
        self.assertEqual((b['phase'], b['state'], b['waitingFor'], b['reusedFrom']), ('first', 'success', None, None))
        self.assertEqual([(a['number'], a['cause'], a['state']) for a in b['attempts']], [(1, 'initial', 'success')])
        self.assertEqual([(s['id'], s['state'], s['exitCode']) for s in b['attempts'][0]['steps']], [('bad', 'failed', 3), ('step-2', 'success', 0)])

    def test_describe_cuts_outputs(self):
        self.daemon.write_runbook('big', '''
phases:
  - name: p
    activities:
      - name: a
        steps:
          - {id: out, run: 'echo "small=1" >>"$RUNBOOK_OUTPUT"; printf "big=%s\\n" "$(head -c 100000 /dev/zero | tr "\\0" x)" >>"$RUNBOOK_OUTPUT"; echo text'}
          - {run: 'echo "${{ steps.out.outputs.stdout }}"'}
''')
        run = self.daemon.start_run('big')
        self.assertEqual(run.wait_ended(), 'success')
        d = run.describe()
        outputs = d['activities'][0]['attempts'][0]['steps'][0]['outputs']
        self.assertNotIn('stdout', outputs)
        self.assertEqual(outputs['small'], '1')
        self.assertLess(len(json.dumps(outputs['big'])), 5000)
        self.assertLess(len(run.call('Describe')), 20000)

    def test_cancel(self):
        self.daemon.write_runbook('forever', harness.waiting_runbook(self.daemon.scratch, 'never'))
        run = self.daemon.start_run('forever')
        run.wait_activity('wait', 'running')
        run.call('Cancel', 'a{sv}', {'Comment': 'enough'})
        self.assertEqual(run.wait_ended(), 'cancelled')
        entry = next(e for e in run.history() if e[3] == 'run-cancel')
        self.assertEqual(int(entry[2]), harness.os.getuid())
        self.assertIn('enough', entry[5])
        with self.error('WrongState'):
            run.call('Cancel', 'a{sv}', {})

    def test_cancel_options(self):
        run = self.daemon.start_run('ask')
        for options in ({'comment': 'x'}, {'Comment': 1}, {'Reason': 'x'}):
            with self.error(INVALID_ARGS):
                run.call('Cancel', 'a{sv}', dbus.Dictionary(options, signature='sv'))
        with self.error('TooLarge'):
            run.call('Cancel', 'a{sv}', {'Comment': 'x' * 4097})
        self.assertFalse(run.get('FinishedAt'))
        run.call('Cancel', 'a{sv}', {})
        run.wait_ended()

    def test_absent_methods(self):
        run = self.daemon.start_run('hello')
        for name in ('Retry', 'Delete', 'Stop'):
            with self.error('org.freedesktop.DBus.Error.UnknownMethod'):
                run.call(name, 'a{sv}', {})

    def test_old_runs_are_found(self):
        runs = [self.daemon.start_run('hello') for _ in range(20)]
        for r in runs:
            r.wait_ended()
        for r in runs + runs[::-1]:
            self.assertEqual((r.get('Id'), r.get('State')), (r.id, 'success'))
            self.assertEqual(self.daemon.get(r.activity_path('greet'), harness.ACTIVITY, 'State'), 'success')

    def test_unknown_property(self):
        run = self.daemon.start_run('hello')
        with self.error('org.freedesktop.DBus.Error.UnknownProperty'):
            self.daemon.get(run.path, RUN, 'Secrets')


if __name__ == '__main__':
    harness.main()
