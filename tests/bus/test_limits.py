"""Callers that want too much: floods, long lists, large replies. The daemon answers each call, keeps little, and serves the others."""
import json
import os
import signal

import dbus
import dbus.bus
import dbus.lowlevel

import harness
from harness import ASK, HELLO, LIMITS_EXCEEDED, MANAGER, NAME, PATH, RUN

OPEN_MAX = 256


def resident(pid):
    with open('/proc/%d/status' % pid, encoding='utf-8') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('RssAnon'))


class Flood(harness.TestCase):
    @classmethod
    def make_daemon(cls):
        return harness.Daemon(env={'ASAN_OPTIONS': 'quarantine_size_mb=1'})     # memory is measured

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.write_runbook('hello', HELLO)
        cls.daemon.write_runbook('ask', ASK)
        cls.daemon.start_run('hello').wait_ended()

    def burst(self, connection, count, method, signature, args):
        """Sends all without waiting; then the answers, in the order in which they came, as error names or ''."""
        answers = []
        for _ in range(count):
            m = dbus.lowlevel.MethodCallMessage(NAME, PATH, MANAGER, method)
            m.append(*args, signature=signature)
            connection.send_message_with_reply(m, lambda reply: answers.append(reply.get_error_name() or ''), timeout_s=harness.WAIT)
        connection.flush()
        return answers

    def test_calls_of_an_unknown_caller(self):
        """While the bus has not said who it is, 256 of its calls wait; what is more is refused. Which is certain as the daemon reads nothing before all are there."""
        connection = self.daemon.bus.connect()
        os.kill(self.daemon.process.pid, signal.SIGSTOP)
        try:
            answers = self.burst(connection, 2000, 'GetRun', 'u', (1,))
            connection.call_blocking('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'GetId', '', ())
        finally:
            os.kill(self.daemon.process.pid, signal.SIGCONT)
        harness.wait_until(lambda: len(answers) == 2000, 'all answers')
        self.assertEqual(answers.count(''), OPEN_MAX)
        self.assertEqual(answers.count(LIMITS_EXCEEDED), 2000 - OPEN_MAX)
        answers = self.burst(connection, 200, 'GetRun', 'u', (1,))
        harness.wait_until(lambda: len(answers) == 200, 'all answers')
        self.assertEqual(set(answers), {''})
        connection.close()

    def test_order(self):
        """Calls of one caller are answered in their order, also those that came before it was known."""
        connection = self.daemon.bus.connect()
        seen = []
        for i in range(100):
            m = dbus.lowlevel.MethodCallMessage(NAME, PATH, MANAGER, 'Verify')
            m.append('#' * i + '\nx: %d' % i, signature='s')
            connection.send_message_with_reply(m, lambda reply, i=i: seen.append(i), timeout_s=harness.WAIT)
        harness.wait_until(lambda: len(seen) == 100, 'all answers')
        self.assertEqual(seen, list(range(100)))
        connection.close()

    def test_flood_of_starts(self):
        """Every start is answered; another caller is served meanwhile; memory stays."""
        flooder, other = self.daemon.bus.connect(), self.daemon.bus.connect()
        args = ('ask', dbus.Dictionary({}, signature='sv'), dbus.Dictionary({'DedupKey': 'flood'}, signature='sv'))
        answers = self.burst(flooder, 200, 'StartRun', 'sa{sv}a{sv}', args)
        harness.wait_until(lambda: len(answers) == 200, 'the first answers')
        before = resident(self.daemon.process.pid)
        for _ in range(10):
            answers = self.burst(flooder, 2000, 'StartRun', 'sa{sv}a{sv}', args)
            self.daemon.manager('GetRun', 'u', 1, connection=other)
            harness.wait_until(lambda got=answers: len(got) == 2000, 'all answers')
            self.assertLessEqual(set(answers), {'', LIMITS_EXCEEDED})
        grown = resident(self.daemon.process.pid) - before
        self.assertLess(grown, 16 * 1024, 'KiB grown')
        flooder.close()
        other.close()

    def test_callers_who_leave(self):
        """Callers that connect, call and go, more than are remembered."""
        for _ in range(1100):
            connection = self.daemon.bus.connect()
            connection.call_blocking(NAME, PATH, MANAGER, 'GetRun', 'u', (1,))
            connection.close()
        connection = self.daemon.bus.connect()
        m = dbus.lowlevel.MethodCallMessage(NAME, PATH, MANAGER, 'GetRun')
        m.append(1, signature='u')
        connection.send_message(m)
        connection.flush()
        connection.close()
        self.assertEqual(self.daemon.manager('GetRun', 'u', 1), PATH + '/run/1')


class Sizes(harness.TestCase):
    def test_long_history(self):
        """S0.7: pages of at most 4 MiB, no entry lost or double, also when outputs are large."""
        steps = ', '.join("{run: 'printf \"big=%%s\\n\" \"$(head -c 120000 /dev/zero | tr \"\\0\" %s)\" >>\"$RUNBOOK_OUTPUT\"'}" % chr(97 + i % 26) for i in range(60))
        self.daemon.write_runbook('big', 'phases: [{name: main, activities: [{name: a, steps: [%s]}]}]\n' % steps)
        run = self.daemon.start_run('big')
        self.assertEqual(run.wait_ended(), 'success')
        first = run.call('GetHistory', 'uu', 0, 0)
        size = sum(len(e[5]) for e in first)
        self.assertLessEqual(size, 4 * 1024 * 1024)
        everything = run.history()
        self.assertGreater(len(everything), len(first))
        self.assertEqual([int(e[0]) for e in everything], list(range(1, len(everything) + 1)))
        self.assertGreater(sum(len(e[5]) for e in everything), 6 * 1024 * 1024)

    def test_reply_that_is_too_large(self):
        """A small file can mean a large description; what is over 8 MiB is refused, and the connection stays."""
        self.daemon.write_runbook('large', 'description: &d "%s"\nphases:\n  - name: main\n    activities:\n%s' % (
            r'\x01' * 20000, ''.join('      - {name: a%d, description: *d, run: "true"}\n' % i for i in range(100))))
        with self.error('TooLarge'):
            self.daemon.manager('GetRunbook', 's', 'large')
        self.assertEqual([str(r[0]) for r in self.daemon.manager('ListRunbooks') if r[0] == 'large'], ['large'])

    def test_many_runs(self):
        """A list goes on with Before=."""
        self.daemon.write_runbook('hello', 'phases: [{name: main, activities: [{name: a, if: "false", run: "true"}]}]\n')
        for _ in range(60):
            self.daemon.start_run('hello')
        rows = self.daemon.manager('ListRuns', 'a{sv}', dbus.Dictionary({'Limit': dbus.UInt32(50)}, signature='sv'))
        more = self.daemon.manager('ListRuns', 'a{sv}', dbus.Dictionary({'Limit': dbus.UInt32(50), 'Before': rows[-1][0]}, signature='sv'))
        numbers = [int(r[0]) for r in rows + more if r[1] == 'hello']
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        self.assertEqual(len(set(numbers)), 60)

    def test_long_message(self):
        """A message has at most 64 KiB, its mark included."""
        self.daemon.write_runbook('long-message', """
inputs: {text: {type: string}}
phases:
  - name: main
    activities:
      - {name: ask, approval: {message: '${{ inputs.text }}'}}
""")
        for size, kept in ((64 * 1024, True), (64 * 1024 + 1, False)):
            run = self.daemon.start_run('long-message', {'text': 'm' * size})
            run.wait_state('on-hold')
            message = json.loads(run.activity('ask', 'GetRequest'))['message']
            self.assertEqual(message == 'm' * size, kept)
            self.assertLessEqual(len(message.encode()), 64 * 1024)
            self.assertEqual(message.endswith('… (cut)'), not kept)
            run.approve('ask')
            run.wait_ended()

    def test_text_that_is_not_utf8(self):
        """What a step writes can't break a reply."""
        self.daemon.write_runbook('dirty', '''
phases:
  - name: main
    activities:
      - name: a
        steps:
          - {id: out, run: 'printf "k=\\377\\001x\\n" >>"$RUNBOOK_OUTPUT"; printf "\\377\\000\\376"'}
          - {run: ': "${{ steps.out.outputs.stdout }}"'}
          - {run: 'printf "{\\"message\\": \\"bad \\377\\"}" >"$RUNBOOK_ERROR"; exit 1'}
''')
        run = self.daemon.start_run('dirty')
        run.wait_state('on-hold')
        self.assertEqual(self.messages(run), ['bad \ufffd'])
        run.activity('a', 'GetRequest')
        run.activity('a', 'Abort', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'failed')
        run.history()
        run.describe()
        self.assertTrue(run.get_all())
        following, data, end = run.activity('a', 'ReadLog', 'ust', 0, '', 0)
        self.assertTrue(end)
        self.assertEqual((bytes(data), int(following)), (b'\xff\0\xfe', 3))

    def test_noncharacters(self):
        """U+FFFE and its like are valid UTF-8, but no string that sd-bus takes: one step that writes them, or one input, spoils no reply, least of all everybody's list of requests."""
        self.daemon.write_runbook('nonchar', '''
inputs: {list: {type: list}}
phases:
  - name: main
    activities:
      - name: a
        approval: {title: "T\\uFFFE", approvers: [root, "n\\uFDD0"], message: '${{ inputs.list[0] }}'}
      - name: b
        steps:
          - {id: out, run: 'printf "k=\\357\\277\\276\\n" >>"$RUNBOOK_OUTPUT"; printf "\\357\\277\\277"'}
          - {run: ': "${{ steps.out.outputs.stdout }}"'}
          - {run: 'printf "{\\"message\\": \\"bad \\357\\267\\220\\"}" >"$RUNBOOK_ERROR"; exit 1'}
''')
        run = self.daemon.start_run('nonchar', {'list': r'["x\ufffe"]'})
        run.wait_state('on-hold')
        self.assertEqual(run.activity_get('a', 'Title'), 'T\ufffd')
        self.assertEqual(self.messages(run), ['x\ufffd'])
        self.assertEqual(json.loads(run.activity('a', 'GetRequest'))['message'], 'x\ufffd')
        self.assertEqual([str(v) for v in run.call('GetInputs')['list']], ['x\ufffd'])
        run.approve('a')
        run.wait_activity('b', 'on-hold')
        self.assertEqual(self.messages(run), ['bad \ufffd'])
        self.assertEqual(json.loads(run.activity('b', 'GetRequest'))['error']['message'], 'bad \ufffd')
        self.assertEqual(run.activity('b', 'Describe').count('\ufffd'), run.call('Describe').count('\ufffd') - 1, 'the input, and all of b')
        self.assertTrue(run.call('GetDefinition') and run.history())
        run.activity('b', 'Abort', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'failed')

    def messages(self, run):
        return [str(r[5]) for r in self.daemon.manager('ListRequests') if r[0] == run.id]

    def test_text_of_an_error(self):
        """A name that is cut within a character does not swallow the answer, and one without end is not sent back."""
        self.daemon.write_runbook('hello', HELLO)
        run = self.daemon.start_run('hello')
        run.wait_ended()
        with self.error('NoSuchStep'):
            run.activity('greet', 'ReadLog', 'ust', 0, 'x' * 255 + 'é' * 10, 0)
        try:
            run.call('Cancel', 'a{sv}', dbus.Dictionary({'k' * (9 << 20): 1}, signature='sv'))
        except dbus.DBusException as e:
            self.assertEqual(e.get_dbus_name(), harness.INVALID_ARGS)
            self.assertLessEqual(len(e.get_dbus_message()), 64 * 1024)
        else:
            self.fail('there was no error')

    def test_many_activities(self):
        """10,000 activities: all of them in one reply."""
        names = ['activity-with-a-long-name.%05d' % i for i in range(10000)]
        self.daemon.write_runbook('wide', 'phases: [{name: main, activities: [\n%s]}]\n' % ',\n'.join("{name: %s, if: 'false', run: 'true'}" % n for n in names))
        run = self.daemon.start_run('wide')
        self.assertEqual(run.wait_ended(), 'success')
        rows = run.call('ListActivities')
        self.assertEqual([str(r[0]) for r in rows], names)
        self.assertEqual(self.daemon.get(rows[9999][4], harness.ACTIVITY, 'State'), 'skipped')
        self.assertEqual(len(run.describe()['activities']), 10000)
        self.assertEqual(self.daemon.get(run.path, RUN, 'State'), 'success')


if __name__ == '__main__':
    harness.main()
