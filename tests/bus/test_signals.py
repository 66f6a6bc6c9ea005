"""Signals: which, when, how many, and that they say only what has changed. One PropertiesChanged per object and commit."""
import grp
import os
import pwd

import dbus

import harness
from harness import ACTIVITY, ASK, HELLO, MANAGER, NAME, PATH, RUN, Signals

RUN_PROPERTIES = {'State', 'StatusText', 'PendingRequests', 'HadErrors', 'ScheduledFor', 'StartedAt', 'FinishedAt', 'NextRetryAt', 'Attempt'}
ACTIVITY_PROPERTIES = {'State', 'WaitingFor', 'Title', 'Approvers', 'Deadline', 'Attempt', 'NextRetryAt'}

CHAIN = 'phases:\n  - name: main\n    activities:\n' + ''.join(
    '      - {name: a%d, steps: [%s]}\n' % (i, ', '.join("{uses: 'builtin:exec', with: {argv: [/bin/true]}}" for _ in range(10))) for i in range(10))

MANY = 50                                           # starts in one turn
ME, MY_GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
OWNED = '''
owners: ['user:%s', 'group:%s']
phases:
  - name: main
    activities:
      - name: first
        approval: {title: One, approvers: [%s], timeout: 1h}
      - name: second
        steps:
          - {name: s1, uses: 'builtin:approval', with: {title: Two}}
          - {name: s2, uses: 'builtin:approval', with: {title: Three}}
''' % (ME, MY_GROUP, ME)


class SignalTests(harness.TestCase):
    def setUp(self):
        self.signals = Signals(self.daemon)
        for name, text in (('hello', HELLO), ('ask', ASK), ('chain', CHAIN), ('owned', OWNED)):
            self.daemon.write_runbook(name, text)

    def tearDown(self):
        self.signals.close()

    def ended(self, run):
        state = run.wait_ended()
        self.signals.wait('RunFinished')
        self.signals.settle()
        return state

    def check_changes(self, path, interface, names, initial):
        """Each signal carries at least one property, none that is as it was, and all have the value they end with."""
        values = dict(initial)
        for changed, invalidated in self.signals.changes(path):
            self.assertTrue(changed or invalidated, 'an empty PropertiesChanged of ' + path)
            self.assertLessEqual(set(changed), names)
            self.assertLessEqual(set(invalidated), {'Phases'})
            for name, value in changed.items():
                self.assertNotEqual(values.get(name), value, '%s of %s was told without having changed' % (name, path))
                values[name] = value
        live = self.daemon.get_all(path, interface)
        for name, value in values.items():
            self.assertEqual(live[name], value, '%s of %s' % (name, path))

    def test_a_run(self):
        run = self.daemon.start_run('hello')
        self.assertEqual(self.ended(run), 'success')
        self.assertEqual([s[3] for s in self.signals.of('RunAdded')], [(run.id, run.path)])
        self.assertEqual([s[3] for s in self.signals.of('RunFinished')], [(run.id, run.path, 'hello', 'success')])
        self.check_changes(run.path, RUN, RUN_PROPERTIES, {})
        self.check_changes(run.activity_path('greet'), ACTIVITY, ACTIVITY_PROPERTIES, {})
        changed, invalidated = self.signals.changes(run.path)[-1]
        self.assertEqual((changed['State'], list(invalidated)), ('success', ['Phases']))
        members = [s[2] for s in self.signals.seen]
        self.assertEqual(members[0], 'RunAdded')
        self.assertLess(members.index('RunAdded'), members.index('RunFinished'))

    def read_early(self):
        """Starts so many that the last ones wait, and reads the last one's states behind that: its path, its state and that of its activity"""
        number = max(int(run[0]) for run in self.daemon.manager('ListRuns', 'a{sv}', {})) + MANY
        path, read = '%s/run/%d' % (PATH, number), []
        options = dbus.Dictionary(signature='sv')
        for _ in range(MANY):
            self.daemon.connection.call_async(NAME, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', ('ask', options, options), None, None)
        for object_path, interface in ((path, RUN), (path + '/activity/sign_2doff', ACTIVITY)):
            self.daemon.connection.call_async(NAME, object_path, dbus.PROPERTIES_IFACE, 'Get', 'ss', (interface, 'State'), read.append, read.append)
        harness.wait_until(lambda: len(read) == 2, 'what was read')
        harness.wait_until(lambda: any(s[3][0] == number for s in self.signals.of('InputRequired')), 'the last one')
        return path, [str(state) for state in read]

    def test_what_was_read_before_the_announcement(self):
        """A start that waits is announced with what it does first: who has read it before that is told of the change all the same"""
        self.daemon.start_run('ask').wait_state('on-hold')
        found = []
        harness.wait_until(lambda: found.append(self.read_early()) or found[-1][1] == ['queued', 'pending'], 'a start that waited')
        self.signals.settle()
        for path in (found[-1][0], found[-1][0] + '/activity/sign_2doff'):
            self.assertEqual([str(c['State']) for c, _ in self.signals.changes(path) if 'State' in c], ['on-hold'])

    def test_signature(self):
        run = self.daemon.start_run('hello')
        self.ended(run)
        changed, _ = self.signals.changes(run.path)[-1]
        self.assertIsInstance(changed['State'], dbus.String)
        self.assertIsInstance(changed['FinishedAt'], dbus.UInt64)
        added = self.signals.of('RunAdded')[0][3]
        self.assertIsInstance(added[0], dbus.UInt32)
        self.assertIsInstance(added[1], dbus.ObjectPath)

    def test_requests(self):
        """S0.18, S0.19"""
        run = self.daemon.start_run('owned')
        run.wait_state('on-hold')
        seen = self.signals.wait('InputRequired')[0][3]
        path = run.activity_path('first')
        self.assertEqual(seen[:6], (run.id, path, 'owned', 'first', 'approval', 'One'))
        self.assertEqual((list(seen[6]), seen[7]), ([ME], self.daemon.get(path, ACTIVITY, 'Deadline')))
        self.assertEqual(self.daemon.get(run.path, RUN, 'PendingRequests'), 1)
        run.approve('first')
        self.signals.wait('InputRequired', 2)
        second = run.activity_path('second')
        self.assertEqual(self.signals.of('RequestResolved')[0][3], (path, 'approved', os.getuid()))
        seen = self.signals.of('InputRequired')[1][3]
        self.assertEqual(seen[1:6], (second, 'owned', 'second', 'approval', 'Two'))
        self.assertEqual((list(seen[6]), seen[7]), (['user:' + ME, 'group:' + MY_GROUP], 0), 'the owners where no approvers are named')
        run.approve('second')
        self.signals.wait('InputRequired', 3)
        run.activity('second', 'Reject', 'a{sv}', {})
        self.assertEqual(self.ended(run), 'rejected')
        self.assertEqual([s[3][1] for s in self.signals.of('RequestResolved')], ['approved', 'approved', 'rejected'])
        self.check_changes(second, ACTIVITY, ACTIVITY_PROPERTIES, {})
        titles = [c['Title'] for c, _ in self.signals.changes(second) if 'Title' in c]
        self.assertEqual(titles, ['Two', 'Three', ''])

    def test_phase_on_hold(self):
        """A phase where people are waited for and nothing moves is on-hold, and that is told."""
        self.daemon.write_runbook('slow-hold', """
phases:
  - name: main
    activities:
      - name: ask
        approval: {}
      - name: work
        needs: []
        run: until [ -e '%s/slow-hold' ]; do sleep 0.01; done
""" % self.daemon.scratch)
        run = self.daemon.start_run('slow-hold')
        run.wait_activity('work', 'running')
        self.assertEqual(run.get('Phases')[0][1], 'running')
        with open(self.daemon.scratch + '/slow-hold', 'w', encoding='utf-8'):
            pass
        run.wait_state('on-hold')
        self.signals.settle()
        changed, invalidated = self.signals.changes(run.path)[-1]
        self.assertEqual((changed['State'], list(invalidated)), ('on-hold', ['Phases']))
        self.assertEqual(run.get('Phases')[0][1], 'on-hold')
        run.approve('ask')
        self.ended(run)

    def test_one_per_object_and_commit(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        self.signals.wait('InputRequired')
        self.signals.settle()
        del self.signals.seen[:]
        run.call('Cancel', 'a{sv}', {})
        self.ended(run)
        path = run.activity_path('sign-off')
        self.assertEqual(len(self.signals.changes(run.path)), 1)
        self.assertEqual(len(self.signals.changes(path)), 1)
        changed, _ = self.signals.changes(path)[0]
        self.assertEqual({k: v for k, v in changed.items() if k != 'Approvers'}, {'State': 'cancelled', 'WaitingFor': '', 'Title': ''})
        self.assertEqual(len(self.signals.changes(run.activity_path('after'))), 1)
        self.assertEqual([s[3][1:] for s in self.signals.of('RequestResolved')], [('cancelled', 4294967295)])

    def test_reads_change_nothing(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        self.signals.wait('InputRequired')
        self.signals.settle()
        before = len(self.signals.seen)
        for _ in range(3):
            run.get_all()
            run.describe()
            self.daemon.manager('ListRequests')
            self.daemon.manager('ListRuns', 'a{sv}', {})
            self.daemon.manager('Reload', 'a{sv}', {})
        self.signals.settle()
        self.assertEqual(self.signals.seen[before:], [])
        run.call('Cancel', 'a{sv}', {})
        self.ended(run)                                 # what that tells is not for the next test

    def test_chain(self):
        """Steps within an activity are silent; at most 2 messages a step in all."""
        run = self.daemon.start_run('chain')
        self.assertEqual(self.ended(run), 'success')
        for i in range(10):
            path = run.activity_path('a%d' % i)
            states = [c['State'] for c, _ in self.signals.changes(path) if 'State' in c]
            self.assertLessEqual(len(self.signals.changes(path)), 2)
            self.assertEqual(states[-1], 'success')
            self.check_changes(path, ACTIVITY, ACTIVITY_PROPERTIES, {})
        self.assertLessEqual(len(self.signals.seen), 60)

    def test_counts(self):
        a = self.daemon.start_run('ask')
        a.wait_state('on-hold')
        self.signals.wait('InputRequired')
        a.call('Cancel', 'a{sv}', {})
        self.ended(a)
        values = {}
        for changed, _ in self.signals.changes(PATH, MANAGER):
            self.assertTrue(changed)
            for name, value in changed.items():
                self.assertNotEqual(values.get(name), value)
                values[name] = value
        live = self.daemon.get_all(PATH, MANAGER)
        for name, value in values.items():
            self.assertEqual(live[name], value)
        self.assertIn('RunsOnHold', values)

    def test_told_after_the_commit(self):
        """What a signal says is there when it is asked for."""
        seen = []

        def on_added(number, path):
            seen.append((path, self.daemon.get(path, RUN, 'Id')))
        self.signals.connection.add_signal_receiver(on_added, 'RunAdded', MANAGER)
        run = self.daemon.start_run('hello')
        self.ended(run)
        self.assertEqual(seen, [(run.path, run.id)])


if __name__ == '__main__':
    harness.main()
