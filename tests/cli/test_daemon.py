"""runbookctl against the real daemon, from start to end."""

import json
import os
import subprocess
import threading
import unittest

from cli_harness import LIMIT, Daemon, Terminal, environment, main, program

SHIP = '''
description: Build, sign off and publish
inputs:
  version: {type: string, required: true, pattern: '^[0-9.]+$'}
  count: {type: integer, default: 2}
phases:
  - name: build
    activities:
      - name: dist
        retries: {max: 1, initialInterval: 100ms}
        steps:
          - name: say
            run: echo "building ${{ inputs.version }}"
          - name: flaky
            run: '[ -e flag ] || { touch flag; echo cannot >&2; exit 3; }'
      - {name: docs, needs: [], run: echo docs}
  - name: sign-off
    activities:
      - name: qa
        approval:
          title: Sign-off
          message: Ship ${{ inputs.version }}?
          fields: {level: {type: integer, required: true}}
  - name: publish
    activities:
      - {name: upload, run: 'echo "uploaded with ${{ activities.qa.outputs.level }}"', hooks: {post: [{run: echo bye}]}}
'''
LOOP = 'phases: [{name: p, activities: [{name: a, run: "i=0; while [ ! -e %s ]; do i=$((i+1)); echo $i; sleep 0.05; done"}]}]'


class RealDaemon(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.daemon.write_runbook('ship', SHIP)
        cls.daemon.write_runbook('fails', 'phases: [{name: p, activities: [{name: a, run: "echo why; exit 7"}]}]')
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def environment(self, **more):
        return environment(self.daemon.bus.address, self.daemon.scratch, **more)

    def ctl(self, *args, status=0):
        p = subprocess.run([program('runbookctl', 'ctl'), '--user'] + list(args), env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=LIMIT, check=False)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        return p.stdout if status in (0, 2) else p.stdout + p.stderr

    def start(self, *args):
        return json.loads(self.ctl('--json=short', 'start', *args))['id']

    def test_start_to_end(self):
        run = self.start('ship', '-i', 'version=1.2', '-i', 'count=5', '--label', 'team=web')
        self.daemon.run(run).wait_state('on-hold')
        status = json.loads(self.ctl('--json=short', 'status', str(run)))
        self.assertEqual((status['state'], status['inputs'], status['pendingRequests']), ('on-hold', {'version': '1.2', 'count': 5}, 1))
        text = self.ctl('status', str(run))
        for part in ('ship, run %d: on-hold' % run, '1 activity requires your input', 'runbookctl --user approve %d/qa' % run, 'attempt 1', 'attempt 2 (retry)', 'exited with status 3'):
            self.assertIn(part, text)
        self.assertIn('%d/qa' % run, self.ctl('inbox'))
        self.assertIn('level', self.ctl('approve', '%d/qa' % run, status=1))
        self.assertEqual(self.ctl('approve', '%d/qa' % run, '-i', 'level=9', '-m', 'fine'), 'Approved %d/qa.\n' % run)
        self.daemon.run(run).wait_ended()
        self.assertEqual(self.ctl('logs', '%d/upload' % run), 'uploaded with 9\nbye\n')
        self.assertEqual(self.ctl('logs', '%d/upload/1' % run), 'uploaded with 9\n')
        self.assertEqual(self.ctl('logs', '%d/upload/post:1' % run), 'bye\n')
        self.assertEqual(self.ctl('logs', '%d/dist/flaky' % run, '--attempt', '1'), 'cannot\n')
        self.assertEqual(sorted(self.ctl('logs', str(run)).splitlines()),
                         sorted(['dist | building 1.2', 'dist | cannot', 'dist | building 1.2', 'docs | docs', 'upload | uploaded with 9', 'upload | bye']))
        history = json.loads(self.ctl('--json=short', 'history', str(run)))
        self.assertEqual([e['seq'] for e in history], list(range(1, len(history) + 1)))
        answer = [e for e in history if e['type'] == 'request-answered'][0]
        self.assertEqual((answer['activity'], answer['uid'], answer['data']['reason']), ('qa', os.getuid(), 'fine'))
        self.assertIsNotNone(answer['user'])
        self.assertEqual(self.ctl('show', str(run), '-p', 'State', '-p', 'Labels', '--value'), 'success\n{"team":"web"}\n')
        self.assertIn('has ended', self.ctl('cancel', str(run), status=1))

    def test_wait(self):
        self.assertIn('ended: failed', self.ctl('start', 'fails', '--wait', status=1))
        self.assertIn('waits for a person', self.ctl('start', 'ship', '-i', 'version=1', '--wait', '--no-input', status=3))

    def test_follow_shows_the_failed_step(self):
        text = self.ctl('start', 'fails', '--follow', status=1)
        for part in ('▶ p ▸ a ▸ step-1\n  why\n✘ p ▸ a ▸ step-1  failed; exited with status 7 (EXIT)', 'ended: failed', 'runbookctl --user logs'):
            self.assertIn(part, text)

    def test_follow_on_a_terminal(self):
        t = Terminal([program('runbookctl', 'ctl'), '--user', 'start', 'ship', '-i', 'version=3.0', '--follow'], self.environment(), 120, 60)
        self.addCleanup(t.close)
        t.wait_for('building 3.0', '✘ build ▸ dist ▸ flaky', 'attempt 2 (retry)', 'Ship 3.0?', '[s]kip?')
        t.type('a', 'Enter')
        t.wait_for('level (integer):')
        t.type('4', 'Enter')
        self.assertEqual(t.wait_exit(), 0)
        t.wait_for('uploaded with 4', 'ended: success')

    def test_reject(self):
        run = self.start('ship', '-i', 'version=1')
        self.daemon.run(run).wait_state('on-hold')
        self.ctl('reject', '%d/qa' % run, '-m', 'no')
        self.daemon.run(run).wait_ended()
        self.assertIn('rejected', self.ctl('status', str(run)))
        self.assertIn('reject; no', self.ctl('history', str(run)))

    def test_inputs(self):
        self.assertIn('did you mean "count"', self.ctl('start', 'ship', '-i', 'cuont=1', status=1))
        self.assertIn('version', self.ctl('start', 'ship', '--strict', status=1))
        self.assertIn('version', self.ctl('start', 'ship', '-i', 'version=abc', status=1))

    def test_runbooks_and_cat(self):
        self.assertIn('Build, sign off and publish', self.ctl('runbooks'))
        self.assertEqual(self.ctl('cat', 'ship'), SHIP)
        self.daemon.write_runbook('late', 'phases: 1')
        self.ctl('reload')
        self.assertIn('late', self.ctl('runbooks'))
        os.unlink(os.path.join(self.daemon.runbooks, 'late.yaml'))


class Restart(unittest.TestCase):
    """The daemon is killed while people look on."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.flag = os.path.join(self.daemon.scratch, 'flag')
        self.daemon.write_runbook('loop', LOOP % self.flag)
        self.daemon.start()

    def test_watchers_survive(self):
        env = environment(self.daemon.bus.address, self.daemon.scratch)
        follow = subprocess.Popen([program('runbookctl', 'ctl'), '--user', 'start', 'loop', '--follow'], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(follow.kill)
        timer = threading.Timer(LIMIT, follow.kill)
        timer.daemon = True
        timer.start()
        lines = [follow.stdout.readline() for _ in range(4)]
        self.assertIn('  1\n', lines)
        watch = Terminal([program('runbookctl', 'ctl'), '--user', 'watch', '1'], env)
        self.addCleanup(watch.close)
        watch.wait_for('● loop, run 1: running')
        self.daemon.kill9()
        self.assertIn('runbookd is away', follow.stderr.readline())
        watch.wait_for('(runbookd is away)')
        self.daemon.start()
        self.assertIn('runbookd is back', follow.stderr.readline())
        watch.wait_for('attempt 2 (resume)', gone=['is away'])
        with open(self.flag, 'w', encoding='ascii'):
            pass
        out, _ = follow.communicate(timeout=LIMIT)
        self.assertEqual((follow.returncode, watch.wait_exit()), (0, 0))
        self.assertIn('interrupted', out)
        self.assertIn('attempt 2 (resume)', out)
        self.assertIn('ended: success', out)


if __name__ == '__main__':
    main()
