"""conf/runbooks/integration-test.yaml: what is not there yet is waited for, what the test finds is not papered over, and the logs are always collected."""
import os
import tarfile

import examples
import harness

# Fails for want of something until it has been tried as often as the file `missing` says; each try leaves a log.
TEST = '''#!/bin/sh
n=$(cat "$STATE/tries" 2>/dev/null || echo 0)
echo $((n + 1)) >"$STATE/tries"
echo "try $n" >more.log
[ ! -e left-behind ] || echo 'not ok - the copy is not fresh'
touch left-behind
if [ "$n" -lt "$(cat "$STATE/missing")" ]; then echo "try $n: no answer"; exit 75; fi
echo 'ok 1 - it answers'
echo 'ok 2 - it answers well'
'''


class Integration(examples.TestCase):
    examples = {'integration-test': {'initialInterval: 2s, maxInterval: 1min': 'initialInterval: 20ms, maxInterval: 60ms'}}

    def setUp(self):
        super().setUp()
        self.put('source/integration-test', TEST.replace('$STATE', self.dir), 0o755)

    def run_it(self, missing, **inputs):
        self.put('missing', str(missing))
        return self.start('integration-test', source=self.path('source'), logs=self.path('logs'), **inputs)

    def members(self, run, attempt):
        with tarfile.open(self.path('logs', 'run-%d-attempt-%d.tar.gz' % (run.id, attempt))) as t:
            return {m.name: t.extractfile(m).read().decode() for m in t.getmembers()}

    def test_verify(self):
        self.verify()

    def test_flaky(self):
        """S4.1, S3.7, S3.13: twice in vain, then it passes; nobody was needed, and all attempts are kept"""
        run = self.run_it(2)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run, 'integration'), [(1, 'initial', 'failed'), (2, 'retry', 'failed'), (3, 'retry', 'success')])
        a = run.describe()['activities'][0]
        self.assertEqual([t['error'] and t['error']['code'] for t in a['attempts']], ['UNAVAILABLE', 'UNAVAILABLE', None])
        self.assertIn('ended with status 75', a['attempts'][0]['error']['message'])
        self.assertEqual(a['outputs'], {'passed': '2'})
        self.assertFalse(run.get('HadErrors'), 'what a retry healed is no error')
        self.assertFalse(os.path.exists(self.path('logs', 'run-%d-failed.txt' % run.id)), 'onFailure ran, though there was another attempt')

    def test_backoff(self):
        """S3.8: each wait is twice the one before, up to the longest"""
        run = self.run_it(3)
        self.assertEqual(run.wait_ended(), 'success')
        spans = []
        attempts = run.describe()['activities'][0]['attempts']
        for attempt, until in zip(attempts, [d['until'] for d in run.events('activity-backoff')]):
            spans.append(until - attempt['finishedAt'])
        self.assertEqual(spans, [20000, 40000, 60000])
        for before, after, span in zip(attempts, attempts[1:], spans):
            self.assertGreaterEqual(after['startedAt'], before['finishedAt'] + span)

    def test_hooks(self):
        """S3.39, S3.22, S3.23: pre and post bracket each attempt: each begins afresh, and the log of each is collected"""
        run = self.run_it(1)
        self.assertEqual(run.wait_ended(), 'success')
        for n, state in ((1, 'failed'), (2, 'success')):
            self.assertEqual(self.steps(run, 'integration', n), [('pre', 'pre:1', 'success'), ('main', 'run', state), ('post', 'post:1', 'success')])
            logs = self.members(run, n)
            self.assertEqual(logs['copy/more.log'], 'try %d\n' % (n - 1))
            self.assertIn(('try 0: no answer', 'ok 2')[n - 1], logs['copy/test.log'])
        self.assertEqual(os.listdir(os.path.join(self.daemon.state, 'work', str(run.id), 'workspace')), [])

    def test_exhausted(self):
        """S4.12, S4.13: after four attempts it is in the dead letters, with what was tried"""
        run = self.run_it(100)
        self.assertEqual(run.wait_ended(), 'exhausted')
        self.assertEqual([s for _, _, s in self.attempts(run, 'integration')], ['failed'] * 4)
        for t in run.describe()['activities'][0]['attempts']:
            self.assertGreater(t['error']['timestamp'], 0)
            self.assertIn('status 75', t['error']['message'])
        self.assertEqual([os.path.exists(self.path('logs', 'run-%d-attempt-%d.tar.gz' % (run.id, n))) for n in range(1, 6)], [True] * 4 + [False])
        summary = self.text('logs', 'run-%d-failed.txt' % run.id)
        self.assertIn('run %d failed in attempt 4: UNAVAILABLE, the test could not do its work' % run.id, summary)
        self.assertIn('try 3: no answer', summary)
        self.assertIn(str(run.id), self.ctl('dead-letters').stdout)
        self.assertIn('runbookctl --user replay %d' % run.id, self.ctl('explain', run.id).stdout)

    def test_a_finding(self):
        """What the test finds is not tried again: the code is not in the list."""
        self.put('source/integration-test', '#!/bin/sh\necho ok 1\necho not ok 2\n', 0o755)
        run = self.run_it(0)
        self.assertEqual(run.wait_ended(), 'failed')
        self.assertEqual(self.attempts(run, 'integration'), [(1, 'initial', 'failed')])
        self.assertIn('1 cases failed', self.text('logs', 'run-%d-failed.txt' % run.id))

    def test_replay(self):
        """S2.4, S4.16: what was exhausted is done again later, as a new run"""
        run = self.run_it(100)
        self.assertEqual(run.wait_ended(), 'exhausted')
        self.put('missing', '0')
        new = self.again('replay', run.id)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual(self.attempts(new, 'integration'), [(1, 'initial', 'success')])
        self.assertEqual(run.get('State'), 'exhausted')


class Slow(Integration):
    """The same with a step that may take no time at all."""
    examples = {'integration-test': {'initialInterval: 2s, maxInterval: 1min': 'initialInterval: 20ms', 'timeout: 30min': 'timeoutMs: 300'}}
    test_verify = test_flaky = test_backoff = test_hooks = test_exhausted = test_a_finding = test_replay = None

    def test_timeout(self):
        """S3.37, S4.8: a test that hangs is stopped, its log is collected, and it is tried again; then it passes"""
        hang = '#!/bin/sh\nif [ ! -e %s/hung ]; then touch %s/hung; echo "hanging" >more.log; sleep 1000; fi\necho ok 1\n' % (self.dir, self.dir)
        self.put('source/integration-test', hang, 0o755)
        run = self.run_it(0)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run, 'integration'), [(1, 'initial', 'failed'), (2, 'retry', 'success')])
        self.assertEqual(run.describe()['activities'][0]['attempts'][0]['error']['code'], 'TIMEOUT')
        self.assertEqual(self.members(run, 1)['copy/more.log'], 'hanging\n')


if __name__ == '__main__':
    harness.main()
