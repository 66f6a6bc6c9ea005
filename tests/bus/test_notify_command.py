"""NotifyCommand=: the real daemon tells of requests by a command of the administrator, and waits for none of them (S0.18, S0.19, S1.14)."""
import json
import os
import shlex

import harness
from harness import ASK, wait_until

# The object on one line of the file; a command that is to stay holds on until there is a file `go`.
TELL = 'cat >>%s/told'
STAY = 'cd %s; sleep 100 & echo $! >>pids; echo $$ >>pids; cat >>told; until [ -e go ]; do sleep 0.01; done'

NEEDS = '''
owners: [olga]
inputs:
  version: {type: string, required: true}
phases:
  - name: main
    activities:
      - {name: use, needs: [], run: 'echo "${{ inputs.version }}"'}
      - {name: broken, needs: [], run: 'exit 4'}
'''

MANY = 'phases: [{name: main, activities: [%s]}]' % ', '.join('{name: a%d, needs: [], approval: {}}' % i for i in range(1, 9))


class NotifyCommand(harness.unittest.TestCase):
    def start(self, command, timeout='1h'):
        d = harness.Daemon()
        self.addCleanup(d.close)
        self.addCleanup(self.touch, d, 'go')
        self.configure(d, command, timeout)
        d.write_runbook('ask', ASK)
        d.write_runbook('needs', NEEDS)
        d.write_runbook('many', MANY)
        d.write_runbook('hello', harness.HELLO)
        return d.start()

    def configure(self, d, command, timeout='1h'):
        line = 'NotifyCommand=%s\n' % (command % d.scratch) if command else ''
        d.write_config('[Runbookd]\n%sNotifyTimeoutSec=%s\n' % (line, timeout))

    def reload(self, d, command):
        self.configure(d, command)
        d.manager('Reload', 'a{sv}', {})

    def touch(self, d, name):
        if os.path.isdir(d.scratch):
            with open(os.path.join(d.scratch, name), 'w', encoding='utf-8'):
                pass

    def lines(self, d, name):
        try:
            with open(os.path.join(d.scratch, name), encoding='utf-8') as f:
                return [line for line in f.read().split('\n')[:-1] if line]
        except FileNotFoundError:
            return []

    def told(self, d, count):
        return [json.loads(line) for line in wait_until(lambda: len(self.lines(d, 'told')) >= count and self.lines(d, 'told'), '%d notifications\n%s' % (count, d.log()))]

    def there(self, d):
        return [pid for pid in self.lines(d, 'pids') if os.path.exists('/proc/' + pid)]

    def test_what_is_told(self):
        """S0.19: what stands in it can be typed as it is"""
        d = self.start(TELL)
        run = d.start_run('ask')
        [said] = self.told(d, 1)
        self.assertEqual((said['run'], said['runbook'], said['activity'], said['kind'], said['title'], said['message']), (run.id, 'ask', 'sign-off', 'approval', 'Go on?', 'Really?'))
        self.assertEqual((said['host'], said['error']), (os.uname().nodename, None))
        words = shlex.split(said['command'])
        self.assertEqual(words, ['runbookctl', '--user', 'approve', '%d/sign-off' % run.id])
        d.tool(harness.program('runbookctl', 'ctl'), *words[1:])
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(len(self.lines(d, 'told')), 1)

    def test_input_and_decision(self):
        d = self.start(TELL)
        run = d.start_run('needs')
        said = {s['activity']: s for s in self.told(d, 2)}
        self.assertEqual((said['use']['kind'], [f['name'] for f in said['use']['fields']], said['use']['approvers']), ('input', ['version'], ['olga']))
        self.assertEqual((said['broken']['kind'], said['broken']['error']['code'], said['broken']['approvers']), ('decision', 'EXIT', ['olga']))
        run.activity('broken', 'Retry', 'a{sv}', {})
        again = self.told(d, 3)[2]                      # it fails again: another request
        self.assertEqual((again['activity'], again['kind']), ('broken', 'decision'))
        d.tool(harness.program('runbookctl', 'ctl'), *shlex.split(said['use']['command'])[1:], 'version=1', '--override')
        run.wait_activity('use', 'success')

    def test_nobody_waits(self):
        """All places are taken by commands that stay; calls, steps and answers go on, and who is answered meanwhile is not told of."""
        d = self.start(STAY)
        run = d.start_run('many')
        self.told(d, 4)
        self.assertEqual(d.start_run('hello').wait_ended(), 'success')
        for i in range(1, 9):
            run.wait_activity('a%d' % i, 'on-hold')
            run.approve('a%d' % i)
        self.assertEqual(run.wait_ended(), 'success')
        self.touch(d, 'go')
        later = d.start_run('ask')
        said = self.told(d, 5)
        self.assertEqual((len(said), said[4]['run']), (5, later.id))
        self.assertEqual({s['run'] for s in said[:4]}, {run.id})
        # What the commands have left behind is ended with them, and nothing of it stays as a zombie of the daemon.
        wait_until(lambda: not self.there(d), 'the end of the commands')

    def test_timeout(self):
        d = self.start(STAY, timeout='1s')
        d.start_run('ask')
        self.told(d, 1)
        wait_until(lambda: not self.there(d), 'the end of a command that took too long')
        self.assertEqual(len(self.lines(d, 'pids')), 2)

    def test_output(self):
        d = self.start('cd %s && /nonexistent/mailer')
        d.start_run('ask')
        wait_until(lambda: '/nonexistent/mailer' in d.log(), 'what the shell says')
        self.assertEqual(d.start_run('hello').wait_ended(), 'success')

    def test_reload(self):
        """None, one, another one, none."""
        d = self.start(None)
        d.start_run('ask').wait_state('on-hold')
        self.reload(d, TELL)
        second = d.start_run('ask')
        self.assertEqual([s['run'] for s in self.told(d, 1)], [second.id])
        self.reload(d, 'echo two >>%s/two')
        d.start_run('ask')
        wait_until(lambda: self.lines(d, 'two') == ['two'], 'the other command')
        self.reload(d, None)
        d.start_run('ask').wait_state('on-hold')
        self.reload(d, TELL)
        fifth = d.start_run('ask')
        self.assertEqual([s['run'] for s in self.told(d, 2)], [second.id, fifth.id])
        self.assertEqual(self.lines(d, 'two'), ['two'])

    def test_stop(self):
        """They end with the daemon; what was not told of is said, and is still there."""
        d = self.start(STAY)
        run = d.start_run('many')
        self.told(d, 4)
        wait_until(lambda: len(self.lines(d, 'pids')) == 8, 'all processes of the commands')
        self.assertEqual(d.stop(), 0)
        wait_until(lambda: all(self.is_dead(pid) for pid in self.lines(d, 'pids')), 'the end of the commands')
        self.assertIn('NotifyCommand= has not told of: 8', d.log())
        self.touch(d, 'go')
        d.start()
        for i in range(1, 9):
            run.approve('a%d' % i)
        self.assertEqual(run.wait_ended(), 'success')

    def is_dead(self, pid):
        """Also where nobody reaps it: what is adopted then is not ours."""
        try:
            with open('/proc/%s/stat' % pid, encoding='utf-8', errors='replace') as f:
                return f.read().rpartition(')')[2].split()[0] in 'ZX'
        except (FileNotFoundError, ProcessLookupError):
            return True


if __name__ == '__main__':
    harness.main()
