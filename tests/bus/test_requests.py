"""Input that a person gives: fields that a step asks for, and inputs of the run that have no value. In user mode, where the owner of the bus may do everything, but is an approver only
where he is named."""
import json

import dbus

import harness
from harness import INVALID_ARGS, MANAGER, PATH, Signals

MISSING = '''
inputs:
  version: {type: string, pattern: '^[0-9.]+$', required: true, description: Which one?}
  count: {type: integer, required: true}
  fixed: {type: string, required: true, fixed: true}
  note: {type: string}
phases:
  - name: main
    activities:
      - name: before
        run: echo before
      - name: use
        run: echo "${{ inputs.version }} ${{ inputs.count }}"
      - name: also
        needs: []
        run: echo "${{ inputs.count }}"
'''

ASKS = '''
phases:
  - name: main
    activities:
      - name: ask
        input:
          title: Which window?
          message: 'For run ${{ run.id }}'
          approvers: [%s]
          fields:
            hours: {type: integer, minimum: 1, required: true}
            zone: {type: choice, options: [utc, local], default: utc}
      - name: use
        run: echo "${{ activities.ask.outputs.hours }} ${{ activities.ask.outputs.zone }}"
'''

APPROVAL = 'phases: [{name: main, activities: [{name: ask, approval: {approvers: [nobody], allowStarter: false}}]}]'


class Inputs(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('missing', MISSING), ('asks', ASKS % 'root'), ('asks-nobody', ASKS % 'nobody'), ('approval', APPROVAL)):
            cls.daemon.write_runbook(name, text)

    def provide(self, run, activity, fields=None, **options):
        if fields is not None:
            options['Fields'] = dbus.Dictionary(fields, signature='sv')
        return run.activity(activity, 'Provide', 'a{sv}', dbus.Dictionary(options, signature='sv'))

    def waiting(self, runbook, activity, inputs=None):
        run = self.daemon.start_run(runbook, inputs)
        run.wait_state('on-hold')
        self.assertEqual((run.activity_get(activity, 'State'), run.activity_get(activity, 'WaitingFor')), ('on-hold', 'input'))
        return run

    def test_missing_inputs(self):
        """S0.17, S0.20–S0.22, S1.12, S1.13, S1.15: what lacks them waits, and goes on with them"""
        signals = Signals(self.daemon)
        run = self.waiting('missing', 'use')
        self.assertEqual(run.activity_get('before', 'State'), 'success')
        self.assertEqual((run.get('PendingRequests'), run.get('StatusText')), (2, '2 activities require your input'))
        self.assertEqual([f['name'] for f in json.loads(run.activity('use', 'GetRequest'))['fields']], ['version', 'count'])
        self.assertEqual({(r[2], r[3]) for r in self.daemon.manager('ListRequests') if r[0] == run.id}, {('use', 'input'), ('also', 'input')})
        for fields in (None, {}, {'version': 'x'}, {'version': 1}, {'nosuch': '1'}, {'note': 'not asked for'}, {'version': '1', 'count': 'many'}):
            with self.error('InvalidInput'):
                self.provide(run, 'use', fields)
        self.assertEqual(run.get('PendingRequests'), 2)
        self.provide(run, 'also', {'count': '7'})       # text that is a number
        run.wait_activity('also', 'success')
        self.assertEqual([f['name'] for f in json.loads(run.activity('use', 'GetRequest'))['fields']], ['version'])
        self.assertEqual(run.wait_state('on-hold'), 'on-hold')
        self.provide(run, 'use', {'version': '1.2'}, Comment='as agreed')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('use'), '1.2 7\n')
        self.assertEqual(run.activity_get('use', 'Attempt'), 1)
        required = [s[3] for s in signals.wait('InputRequired', 2)]
        self.assertEqual({(str(s[1]), s[4]) for s in required}, {(run.activity_path('use'), 'input'), (run.activity_path('also'), 'input')})
        resolved = [s[3] for s in signals.wait('RequestResolved', 2)]
        self.assertEqual([(str(s[0]), s[1]) for s in resolved], [(run.activity_path('also'), 'provided'), (run.activity_path('use'), 'provided')])
        signals.close()

    def test_not_even_strict(self):
        with self.error('InvalidInput'):
            self.daemon.start_run('missing', {'version': '1'}, Strict=True)

    def test_set_inputs(self):
        run = self.waiting('missing', 'use')
        run.call('SetInputs', 'a{sv}a{sv}', dbus.Dictionary({'version': '3', 'count': dbus.Int64(4)}, signature='sv'), {})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('use'), '3 4\n')

    def test_fields(self):
        """S1.15: what a step asks for"""
        run = self.waiting('asks', 'ask')
        request = json.loads(run.activity('ask', 'GetRequest'))
        self.assertEqual((request['kind'], request['title'], request['message']), ('input', 'Which window?', 'For run %d' % run.id))
        for fields in (None, {'hours': 0}, {'hours': 'x'}, {'hours': 1, 'zone': 'here'}, {'minutes': 1}):
            with self.error('InvalidInput'):
                self.provide(run, 'ask', fields)
        for method in ('Approve', 'Reject'):
            with self.error('WrongState'):
                run.activity('ask', method, 'a{sv}', {})
        self.provide(run, 'ask', {'hours': '5'})
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('use'), '5 utc\n')
        with self.error('AlreadyAnswered'):
            self.provide(run, 'ask', {'hours': 6})

    def test_they_are_listed_by_the_numbers_of_their_runs(self):
        """No hash table shows through: who looks twice finds them in their places, and a new one at the end"""
        runs = [self.waiting('asks', 'ask') for _ in range(20)]
        numbers = [int(row[0]) for row in self.daemon.manager('ListRequests')]
        self.assertEqual(numbers, sorted(numbers))
        self.assertLessEqual({run.id for run in runs}, set(numbers))
        for run in runs:
            run.call('Cancel', 'a{sv}', {})
            self.assertEqual(run.wait_ended(), 'cancelled')

    def test_nothing_is_asked(self):
        run = self.daemon.start_run('approval')
        run.wait_state('on-hold')
        with self.error('WrongState'):
            self.provide(run, 'ask', {'hours': 1}, Override=True)
        run.call('Cancel', 'a{sv}', {})

    def test_lists_hold(self):
        """S0.16: root, who owns the bus, is not named; an override is, in the history"""
        run = self.waiting('asks-nobody', 'ask')
        with self.error('NotApprover'):
            self.provide(run, 'ask', {'hours': 1})
        self.provide(run, 'ask', {'hours': 1}, Override=True)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([a.get('override') for a in run.events('request-answered')], [True])
        run = self.daemon.start_run('approval')
        run.wait_state('on-hold')
        for method in ('Approve', 'Reject'):
            with self.error('NotApprover'):
                run.activity('ask', method, 'a{sv}', {})
        run.approve('ask', Override=True)
        self.assertEqual(run.wait_ended(), 'success')

    def request(self, run, activity='ask'):
        return json.loads(run.activity(activity, 'GetRequest'))

    def test_is_it_for_me(self):
        """S1.14: who asks is told whether an answer of his would be taken; what a person has answered, or may not answer, is not for him"""
        for text, can in (('approvers: [root]', True), ('approvers: [root], allowStarter: false', False), ('approvers: [nobody]', False), ('', True), ('allowStarter: false', False)):
            self.daemon.write_runbook('mine', 'phases: [{name: main, activities: [{name: ask, approval: {%s}}]}]' % text)
            run = self.daemon.start_run('mine')
            run.wait_state('on-hold')
            request = self.request(run)
            self.assertEqual((request['canAnswer'], request['allowStarter'], request['startedBy'], request['startedByName']), (can, 'false' not in text, 0, 'root'), text)
            if can:
                run.approve('ask')
                self.assertEqual(run.wait_ended(), 'success')
            else:
                with self.error('NotApprover'):
                    run.approve('ask')
                run.call('Cancel', 'a{sv}', {})

    def test_is_it_still_for_me(self):
        """One of two; one in a run that is paused, whose answer is kept; a rejection that is kept."""
        self.daemon.write_runbook('two', 'phases: [{name: main, activities: [{name: ask, needs: [], approval: {required: 2}}, {name: other, needs: [], approval: {}}, {name: third, needs: [], approval: {}}]}]')
        run = self.daemon.start_run('two')
        run.wait_state('on-hold')
        self.assertTrue(self.request(run)['canAnswer'])
        run.approve('ask')
        self.assertEqual((self.request(run)['canAnswer'], [a['uid'] for a in self.request(run)['answers']]), (False, [0]))
        with self.error('AlreadyAnswered'):
            run.approve('ask')
        run.call('Pause', 'a{sv}', {})
        self.assertTrue(self.request(run, 'other')['canAnswer'])
        run.approve('other')
        run.activity('third', 'Reject', 'a{sv}', {})
        for name in ('other', 'third'):
            with self.error('WrongState'):
                self.request(run, name)
            with self.error('AlreadyAnswered'):
                run.approve(name)
        run.call('Cancel', 'a{sv}', {})

    def test_answered_in_a_pause(self):
        """S0.20, S1.13: what has its answer is open no more, although that is carried out when the run goes on; it is told once, also over a kill"""
        self.daemon.write_runbook('paused', 'phases: [{name: main, activities: [{name: ask, approval: {title: Go?, required: 2, timeout: 1h}}, {name: more, needs: [], input: {approvers: [root]}}, '
                                  '{name: no, needs: [], failurePolicy: continue, approval: {approvers: [nobody]}}]}]')
        signals = Signals(self.daemon)
        self.addCleanup(signals.close)
        run = self.daemon.start_run('paused')
        run.wait_state('on-hold')
        run.call('Pause', 'a{sv}', {})
        run.approve('ask')
        self.assertEqual((run.get('PendingRequests'), run.get('StatusText')), (3, '3 activities require your input'))
        run.activity('no', 'Reject', 'a{sv}', {'Override': True})
        self.provide(run, 'more', {})
        told = [('no', 'rejected', 0), ('more', 'provided', 0)]

        def resolved():
            signals.settle()
            return [(s[3][0].rsplit('/', 1)[1], str(s[3][1]), int(s[3][2])) for s in signals.of('RequestResolved')]
        self.assertEqual(resolved(), told)
        for restart in (False, True):
            if restart:
                self.daemon.kill9()
                self.daemon.start()
            self.assertEqual((run.get('State'), run.get('PendingRequests'), run.get('StatusText')), ('paused', 1, '1 activity requires your input'))
            self.assertEqual([r[2] for r in self.daemon.manager('ListRequests') if r[0] == run.id], ['ask'])
            for name, method in (('more', 'Provide'), ('no', 'Approve'), ('no', 'Reject')):
                self.assertEqual([run.activity_get(name, p) for p in ('State', 'WaitingFor', 'Title', 'Approvers', 'Deadline')], ['running', '', '', [], 0])
                with self.error('WrongState'):
                    run.activity(name, 'GetRequest')
                with self.error('AlreadyAnswered'):
                    run.activity(name, method, 'a{sv}', {})
        self.assertEqual((run.activity_get('ask', 'State'), run.activity_get('ask', 'WaitingFor')), ('on-hold', 'approval'))
        signals.seen.clear()
        run.call('Resume', 'a{sv}', {})
        run.wait_activity('more', 'success')
        run.wait_activity('no', 'failed')
        self.assertEqual((run.wait_state('on-hold'), resolved()), ('on-hold', []))
        run.call('Cancel', 'a{sv}', {})

    def test_input_and_decisions_for_me(self):
        self.daemon.write_runbook('fails', "owners: [nobody]\nphases: [{name: main, activities: [{name: ask, run: 'false'}]}]")
        for runbook, activity, can in (('missing', 'use', True), ('asks', 'ask', True), ('asks-nobody', 'ask', False), ('fails', 'ask', True)):
            run = self.daemon.start_run(runbook)
            run.wait_state('on-hold')
            request = self.request(run, activity)
            self.assertEqual((request['canAnswer'], request['allowStarter']), (can, True), runbook)
            run.call('Cancel', 'a{sv}', {})

    def test_options(self):
        run = self.waiting('asks', 'ask')
        for options in ({'Inputs': dbus.Dictionary({}, signature='sv')}, {'Fields': 'x'}, {'Override': 'x'}, {'Override': 1}):
            with self.error(INVALID_ARGS):
                run.activity('ask', 'Provide', 'a{sv}', dbus.Dictionary(options, signature='sv'))
        with self.error('TooLarge'):
            self.provide(run, 'ask', {'hours': 1}, Comment='x' * 4097)
        with self.error('TooLarge'):
            self.provide(run, 'ask', {'hours': 'x' * (2 << 20)})
        self.assertEqual(run.get('State'), 'on-hold')
        run.call('Cancel', 'a{sv}', {})

    def test_restart(self):
        """S0.22: it waits as long as it takes"""
        run = self.waiting('missing', 'use')
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual((run.get('State'), run.activity_get('use', 'WaitingFor')), ('on-hold', 'input'))
        self.assertEqual(len([r for r in self.daemon.call(PATH, MANAGER, 'ListRequests') if r[0] == run.id]), 2)
        self.provide(run, 'use', {'version': '1', 'count': 2})
        self.assertEqual(run.wait_ended(), 'success')


if __name__ == '__main__':
    harness.main()
