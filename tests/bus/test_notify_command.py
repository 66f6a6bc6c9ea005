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
        """None, one, another one, none: what opened while there was none is told when there is one, and each is told once."""
        d = self.start(None)
        runs = [d.start_run('ask')]
        runs[0].wait_state('on-hold')
        self.reload(d, TELL)
        self.assertEqual([s['run'] for s in self.told(d, 1)], [runs[0].id])
        runs.append(d.start_run('ask'))
        self.told(d, 2)
        self.reload(d, 'echo two >>%s/two')
        d.start_run('ask')
        wait_until(lambda: self.lines(d, 'two') == ['two'], 'the other command')
        self.reload(d, None)
        runs.append(d.start_run('ask'))
        runs[-1].wait_state('on-hold')
        self.reload(d, TELL)
        runs.append(d.start_run('ask'))
        self.assertEqual(sorted(s['run'] for s in self.told(d, 4)), [r.id for r in runs])       # at the same time
        self.assertEqual(self.lines(d, 'two'), ['two'])

    def test_stop(self):
        """They end with the daemon; what was not told of is said, and is still there."""
        d = self.start(STAY)
        run = d.start_run('many')
        self.told(d, 4)
        wait_until(lambda: len(self.lines(d, 'pids')) == 8, 'all processes of the commands')
        self.assertEqual(d.stop(), 0)
        wait_until(lambda: all(self.is_dead(pid) for pid in self.lines(d, 'pids')), 'the end of the commands')
        self.assertIn('NotifyCommand= has not told of: 8; they stay open (runbookctl --user inbox)', d.log())
        os.unlink(os.path.join(d.scratch, 'told'))
        self.touch(d, 'go')
        d.start()
        self.assertEqual(sorted(s['activity'] for s in self.told(d, 8)), ['a%d' % i for i in range(1, 9)])
        for i in range(1, 9):
            run.approve('a%d' % i)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(len(self.lines(d, 'told')), 8)

    def noted(self, d, *runs):
        """The command's success is known; what is in the file outlives a kill."""
        wait_until(lambda: {int(line.split()[0]) for line in self.lines(d, 'state/runbookd/notified')} >= {r.id for r in runs}, 'the note that it was told')

    def test_killed_before_it_was_told(self):
        d = self.start(STAY)
        run = d.start_run('ask')
        self.told(d, 1)
        d.kill9()
        for pid in self.there(d):
            os.kill(int(pid), 9)
        self.configure(d, TELL)
        d.start()
        again = self.told(d, 2)[1]
        self.assertEqual((again['run'], again['activity'], again['command']), (run.id, 'sign-off', 'runbookctl --user approve %d/sign-off' % run.id))
        d.tool(harness.program('runbookctl', 'ctl'), *shlex.split(again['command'])[1:])
        self.assertEqual(run.wait_ended(), 'success')

    def test_killed_after_it_was_told(self):
        """Nor is one told again that was told before the last but one restart, nor one that came to its end."""
        d = self.start(TELL)
        runs = [d.start_run('ask')]
        self.noted(d, *runs)
        for _ in range(2):
            d.kill9()
            d.start()
            runs.append(d.start_run('ask'))
            self.noted(d, runs[-1])
        self.assertEqual([s['run'] for s in self.told(d, 3)], [r.id for r in runs])
        for run in runs:
            run.approve('sign-off')
            self.assertEqual(run.wait_ended(), 'success')
        d.kill9()
        d.start()
        last = d.start_run('ask')                       # its turn comes after that of all that waited
        self.noted(d, last)
        self.assertEqual([s['run'] for s in self.told(d, 4)], [r.id for r in runs + [last]])

    def test_failures_outlive_a_restart(self):
        """A try that failed, and one that was the last: both are told again, at once and with all tries."""
        d = self.start('cd %s && echo >>tries; exit 1')
        d.start_run('ask')
        wait_until(lambda: self.lines_of_tries(d) == 1, 'the first try')
        d.kill9()
        d.start()
        wait_until(lambda: self.lines_of_tries(d) == 2, 'another one')
        self.configure(d, TELL)
        d.kill9()
        d.start()
        self.told(d, 1)

    def lines_of_tries(self, d):
        try:
            return os.path.getsize(os.path.join(d.scratch, 'tries'))
        except FileNotFoundError:
            return 0

    def test_asked_again_by_a_retry(self):
        """What fails again after a restart, or asks again, is another request."""
        d = self.start(TELL)
        run = d.start_run('needs')
        self.told(d, 2)
        wait_until(lambda: len(self.lines(d, 'state/runbookd/notified')) == 2, 'the notes')
        d.kill9()
        d.start()
        run.activity('broken', 'Retry', 'a{sv}', {})
        again = self.told(d, 3)[2]
        self.assertEqual((again['activity'], again['kind']), ('broken', 'decision'))
        wait_until(lambda: len(self.lines(d, 'state/runbookd/notified')) == 3, 'the note')
        d.kill9()
        d.start()
        run.activity('use', 'Provide', 'a{sv}', harness.dbus.Dictionary({'Fields': harness.dbus.Dictionary({'version': '1'}, signature='sv'), 'Override': True}, signature='sv'))
        run.wait_activity('use', 'success')
        self.assertEqual(len(self.lines(d, 'told')), 3)

    def test_not_told_what_is_over_at_the_start(self):
        """Its time ran out while nobody was there; what was interrupted and is held now is a new request."""
        d = self.start(STAY)
        d.write_runbook('short', 'phases: [{name: main, activities: [{name: late, approval: {timeout: 1s, onTimeout: reject}}]}]')
        d.write_runbook('held', 'phases: [{name: main, activities: [{name: long, onInterrupt: hold, run: sleep 1000}]}]')
        run, held = d.start_run('short'), d.start_run('held')
        self.told(d, 1)
        held.wait_activity('long', 'running')
        deadline = run.activity_get('late', 'Deadline')
        d.kill9()
        for pid in self.there(d):
            os.kill(int(pid), 9)
        os.unlink(os.path.join(d.scratch, 'told'))
        self.configure(d, TELL)
        wait_until(lambda: harness.time.time() * 1000000 > deadline, 'the end of its time')
        d.start()
        self.assertEqual(run.wait_ended(), 'rejected')
        self.noted(d, held)
        self.assertEqual([(s['run'], s['kind']) for s in self.told(d, 1)], [(held.id, 'decision')])
        held.call('Cancel', 'a{sv}', {})
        held.wait_ended()

    def is_dead(self, pid):
        """Also where nobody reaps it: what is adopted then is not ours."""
        try:
            with open('/proc/%s/stat' % pid, encoding='utf-8', errors='replace') as f:
                return f.read().rpartition(')')[2].split()[0] in 'ZX'
        except (FileNotFoundError, ProcessLookupError):
            return True


if __name__ == '__main__':
    harness.main()
