"""Activity objects: answers, requests, logs, properties."""
import json
import os

import dbus

import harness
from harness import ACTIVITY, ASK, INVALID_ARGS, wait_until

FIELDS = '''
phases:
  - name: main
    activities:
      - name: ask
        approval:
          title: Which one?
          message: 'For ${{ run.id }}'
          fields:
            count: {type: integer, required: true}
            note: {type: string}
      - name: use
        run: echo "${{ activities.ask.outputs.count }} ${{ activities.ask.outputs.note }} ${{ activities.ask.outputs.by }}"
'''

MANY = '''
phases:
  - name: main
    activities:
      - name: ask
        approval: {required: 2, timeout: 1h}
'''

AGAIN = '''
phases:
  - name: main
    activities:
      - name: sign-off
        failurePolicy: hold
        approval: {title: 'Go on?'}
'''

LOGS = '''
phases:
  - name: main
    activities:
      - name: talk
        retries: {max: 1, initialInterval: 1ms}
        hooks:
          pre: [{run: echo pre}]
        steps:
          - {name: one, run: 'echo one; echo err >&2'}
          - {name: two, run: 'echo two $RUNBOOK_ATTEMPT; exit $((2 - RUNBOOK_ATTEMPT))'}
'''

PIPE = '''
phases:
  - name: main
    activities:
      - name: own
        failurePolicy: fail
        hooks:
          onFailure: [{run: 'echo "${{ failure.log }}"'}]
        steps:
          - run: log=%(logs)s/$RUNBOOK_RUN/$RUNBOOK_ACTIVITY.a1.log; rm $log && mkfifo $log
          - run: echo lost
'''


class Activities(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('ask', ASK), ('fields', FIELDS), ('many', MANY), ('again', AGAIN), ('logs', LOGS)):
            cls.daemon.write_runbook(name, text)

    def asking(self, runbook='ask', **kwargs):
        run = self.daemon.start_run(runbook, **kwargs)
        run.wait_state('on-hold')
        return run

    def test_properties(self):
        run = self.asking()
        p = self.daemon.get_all(run.activity_path('sign-off'), ACTIVITY)
        self.assertEqual({k: v for k, v in p.items() if k != 'Approvers'},
                         {'Name': 'sign-off', 'Phase': 'main', 'State': 'on-hold', 'WaitingFor': 'approval', 'Title': 'Go on?', 'Deadline': 0, 'Attempt': 1, 'NextRetryAt': 0})
        self.assertEqual(list(p['Approvers']), [])
        p = self.daemon.get_all(run.activity_path('after'), ACTIVITY)
        self.assertEqual((p['State'], p['WaitingFor'], p['Title'], p['Attempt']), ('pending', '', '', 0))
        run.approve('sign-off')
        run.wait_ended()
        p = self.daemon.get_all(run.activity_path('sign-off'), ACTIVITY)
        self.assertEqual((p['State'], p['WaitingFor'], p['Title'], p['Deadline']), ('success', '', '', 0))

    def test_deadline(self):
        run = self.asking('many')
        deadline = run.activity_get('ask', 'Deadline')
        self.assertAlmostEqual(deadline, run.get('StartedAt') + 3600e6, delta=60e6)
        run.call('Cancel', 'a{sv}', {})

    def test_approve(self):
        run = self.asking()
        run.approve('sign-off', Comment='fine by me')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('after'), 'fine by me\n')
        self.assertEqual(run.activity_get('sign-off', 'State'), 'success')
        with self.error('AlreadyAnswered'):           # though the run has ended
            run.approve('sign-off')

    def test_reject(self):
        run = self.asking()
        run.activity('sign-off', 'Reject', 'a{sv}', {'Comment': 'no'})
        self.assertEqual(run.wait_ended(), 'rejected')
        with self.error('AlreadyAnswered'):           # though the run has ended
            run.activity('sign-off', 'Reject', 'a{sv}', {})

    def test_nothing_asked(self):
        run = self.asking()
        for method in ('Approve', 'Reject'):
            with self.error('WrongState'):
                run.activity('after', method, 'a{sv}', {})
        with self.error('WrongState'):
            run.activity('after', 'GetRequest')

    def test_already_answered(self):
        run = self.asking('many')
        run.approve('ask')
        with self.error('AlreadyAnswered'):
            run.approve('ask')
        self.assertEqual(run.get('State'), 'on-hold')
        run.call('Cancel', 'a{sv}', {})

    def test_answer_to_an_earlier_request(self):
        """Who has read a request answers that one, and not what the activity asks after it."""
        run = self.asking('again')
        opened = json.loads(run.activity('sign-off', 'GetRequest'))['openedAt']
        run.activity('sign-off', 'Reject', 'a{sv}', {'OpenedAt': dbus.UInt64(opened)})
        wait_until(lambda: run.activity_get('sign-off', 'WaitingFor') == 'decision', 'the decision')
        with self.error('WrongState'):
            run.activity('sign-off', 'Abort', 'a{sv}', {'OpenedAt': dbus.UInt64(opened)})
        run.activity('sign-off', 'Retry', 'a{sv}', {})
        wait_until(lambda: run.activity_get('sign-off', 'WaitingFor') == 'approval', 'the second question')
        for method in ('Approve', 'Reject'):
            with self.error('WrongState'):
                run.activity('sign-off', method, 'a{sv}', {'OpenedAt': dbus.UInt64(opened)})
        opened = json.loads(run.activity('sign-off', 'GetRequest'))['openedAt']
        run.activity('sign-off', 'Approve', 'a{sv}', {'OpenedAt': dbus.UInt64(opened)})
        self.assertEqual(run.wait_ended(), 'success')

    def test_options(self):
        run = self.asking()
        for method, options in (('Approve', {'comment': 'x'}), ('Approve', {'Fields': 'x'}), ('Approve', {'Override': 'yes'}), ('Reject', {'Fields': dbus.Dictionary({}, signature='sv')}),
                                ('Approve', {'Comment': 5})):
            with self.error(INVALID_ARGS):
                run.activity('sign-off', method, 'a{sv}', dbus.Dictionary(options, signature='sv'))
        for method in ('Approve', 'Reject'):
            with self.error('TooLarge'):
                run.activity('sign-off', method, 'a{sv}', {'Comment': 'x' * 4097})
        self.assertEqual(run.get('State'), 'on-hold')

    def test_fields(self):
        run = self.asking('fields')
        for fields in ({}, {'count': 'many'}, {'count': 1, 'other': 2}, {'count': 1, 'note': 5}):
            with self.error('InvalidInput'):
                run.approve('ask', Fields=dbus.Dictionary(fields, signature='sv'))
        with self.error('InvalidInput'):
            run.approve('ask')
        run.approve('ask', Fields=dbus.Dictionary({'count': '7', 'note': 'seven'}, signature='sv'))
        self.assertEqual(run.wait_ended(), 'success')
        self.assertRegex(run.log('use'), '^7 seven ')

    def test_get_request(self):
        run = self.asking('fields')
        request = harness.json.loads(run.activity('ask', 'GetRequest'))
        self.assertEqual((request['kind'], request['title'], request['message']), ('approval', 'Which one?', 'For %d' % run.id))
        self.assertEqual(request['required'], 1)
        self.assertEqual([f['name'] for f in request['fields']], ['count', 'note'])
        run.call('Cancel', 'a{sv}', {})
        run.wait_ended()
        with self.error('WrongState'):
            run.activity('ask', 'GetRequest')

    def test_describe(self):
        run = self.daemon.start_run('logs')
        run.wait_ended()
        d = harness.json.loads(run.activity('talk', 'Describe'))
        self.assertEqual((d['name'], d['state'], [(a['number'], a['cause'], a['state']) for a in d['attempts']]),
                         ('talk', 'success', [(1, 'initial', 'failed'), (2, 'retry', 'success')]))
        self.assertEqual(d, next(a for a in run.describe()['activities'] if a['name'] == 'talk'))

    # -- logs

    def test_read_log(self):
        """S3.13: each attempt keeps its own log"""
        run = self.daemon.start_run('logs')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('talk'), 'pre\none\nerr\ntwo 2\n')
        self.assertEqual(run.log('talk', attempt=1), 'pre\none\nerr\ntwo 1\n')
        self.assertEqual(run.log('talk', 'two'), 'two 2\n')
        self.assertEqual(run.log('talk', '2', 1), 'two 1\n')
        self.assertEqual(run.log('talk', 'pre:1'), 'pre\n')
        self.assertEqual(run.log('talk', 'one', 2), 'one\nerr\n')

    def test_log_replaced_by_its_step(self):
        """What a step has put in the place of its log is not waited for, neither by the next step nor by readers."""
        self.daemon.write_runbook('pipe', PIPE % {'logs': os.path.join(self.daemon.state, 'logs')})
        run = self.daemon.start_run('pipe')
        self.assertEqual(run.wait_ended(), 'failed')
        self.assertEqual([s['state'] for s in run.describe()['activities'][0]['attempts'][0]['steps'][:2]], ['success', 'failed'])
        with self.error('WrongState'):
            run.log('own')

    def test_read_log_offsets(self):
        run = self.daemon.start_run('logs')
        run.wait_ended()

        def read(offset, step='one'):
            following, data, end = run.activity('talk', 'ReadLog', 'ust', 1, step, offset)
            return int(following), bytes(data), bool(end)
        self.assertEqual(read(0), (8, b'one\nerr\n', True))
        self.assertEqual(read(4), (8, b'err\n', True))
        self.assertEqual(read(8), (8, b'', True))
        self.assertEqual(read(100), (100, b'', True))
        self.assertEqual(read(2 ** 62), (2 ** 62, b'', True))
        with self.error(INVALID_ARGS):
            read(2 ** 64 - 1)

    def test_no_such_log(self):
        run = self.asking()
        with self.error('NoSuchStep'):
            run.activity('sign-off', 'ReadLog', 'ust', 0, 'nosuch', 0)
        with self.error('NoSuchStep'):
            run.activity('sign-off', 'OpenLog', 'us', 0, '9')
        for attempt in (1, 7):
            with self.error('WrongState'):
                run.activity('after', 'ReadLog', 'ust', attempt, '', 0)
            with self.error('WrongState'):
                run.activity('after', 'OpenLog', 'us', attempt, '')
        with self.error('WrongState'):
            run.activity('after', 'ReadLog', 'ust', 0, '', 0)

    def test_log_of_a_running_step(self):
        name = 'go-log'
        self.daemon.write_runbook('slow', '''
phases:
  - name: main
    activities:
      - name: wait
        run: "echo begun; until [ -e '%s/%s' ]; do sleep 0.01; done; echo over"
''' % (self.daemon.scratch, name))
        run = self.daemon.start_run('slow')
        run.wait_activity('wait', 'running')
        harness.wait_until(lambda: run.log('wait') == 'begun\n', 'the first line')
        self.assertEqual(run.activity('wait', 'ReadLog', 'ust', 0, '', 6)[2], False)
        self.assertEqual(run.activity('wait', 'ReadLog', 'ust', 0, '1', 6)[2], False)
        with open(os.path.join(self.daemon.scratch, name), 'w', encoding='utf-8'):
            pass
        run.wait_ended()
        self.assertEqual(run.log('wait'), 'begun\nover\n')

    def test_log_of_a_step_to_come(self):
        """Who follows a step before it began is not told that this was all."""
        self.daemon.write_runbook('to-come', '''
phases:
  - name: main
    activities:
      - name: a
        steps: [{id: first, run: "echo first; until [ -e '%s/go-come' ]; do sleep 0.01; done"}, {id: second, run: echo second}, {id: never, if: failure(), run: echo never}]
''' % self.daemon.scratch)
        run = self.daemon.start_run('to-come')
        harness.wait_until(lambda: run.activity('a', 'ReadLog', 'ust', 0, 'first', 0)[0] == 6, 'the first line')
        for step in ('second', 'never'):
            self.assertEqual(tuple(run.activity('a', 'ReadLog', 'ust', 0, step, 0)), (0, b'', False))
        with open(os.path.join(self.daemon.scratch, 'go-come'), 'w', encoding='utf-8'):
            pass
        run.wait_ended()
        self.assertEqual(tuple(run.activity('a', 'ReadLog', 'ust', 0, 'second', 0)), (7, b'second\n', True))
        self.assertEqual(tuple(run.activity('a', 'ReadLog', 'ust', 0, 'never', 0)), (0, b'', True))

    def test_open_log(self):
        run = self.daemon.start_run('logs')
        run.wait_ended()
        fd = run.activity('talk', 'OpenLog', 'us', 1, '').take()
        with os.fdopen(fd, 'rb') as f:
            self.assertEqual(f.read(), b'pre\none\nerr\ntwo 1\n')
            with self.assertRaises(OSError):
                os.write(f.fileno(), b'x')
        fd = run.activity('talk', 'OpenLog', 'us', 2, 'two').take()
        with os.fdopen(fd, 'rb') as f:
            self.assertEqual(f.read(), b'two 2\n')

    def test_long_log(self):
        """Read in pieces; the head of what is over LogMaxBytes= is gone, and the reader is told how much."""
        self.daemon.write_runbook('long', '''
phases: [{name: main, activities: [{name: talk, run: 'seq 1 200000'}]}]
''')
        run = self.daemon.start_run('long')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.log('talk'), ''.join('%d\n' % i for i in range(1, 200001)))


class ShortLogs(harness.TestCase):
    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nLogMaxBytes=64K\n')

    def test_head_is_gone(self):
        self.daemon.write_runbook('long', "phases: [{name: main, activities: [{name: talk, run: 'seq 1 200000'}]}]")
        run = self.daemon.start_run('long')
        self.assertEqual(run.wait_ended(), 'success')
        following, data, _ = run.activity('talk', 'ReadLog', 'ust', 0, '', 0)
        gone = int(following) - len(data)
        everything = ''.join('%d\n' % i for i in range(1, 200001)).encode()
        self.assertGreater(gone, 0)
        self.assertEqual(bytes(data), everything[gone:gone + len(data)])
        self.assertLess(len(everything) - gone, 256 * 1024)


if __name__ == '__main__':
    harness.main()
