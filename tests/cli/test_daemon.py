"""runbookctl against the real daemon, from start to end."""

import json
import os
import pwd
import subprocess
import threading
import unittest

from cli_harness import LIMIT, Daemon, Terminal, environment, main, program, wait_until

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


class Base(unittest.TestCase):
    maxDiff = None
    daemon = None

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


class RealDaemon(Base):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.daemon.write_runbook('ship', SHIP)
        cls.daemon.write_runbook('fails', 'phases: [{name: p, activities: [{name: a, failurePolicy: fail, run: "echo why; exit 7"}]}]')
        cls.daemon.start()

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


RELEASE = '''
inputs:
  count: {type: integer, default: 1}
phases:
  - name: build
    activities:
      - {name: dist, run: 'echo built >> out; echo artifact=a.tar >> "$RUNBOOK_OUTPUT"'}
  - name: test
    activities:
      - {name: unit, run: '[ "${{ inputs.count }}" = 2 ]'}
      - {name: lint, needs: [], run: 'echo n=0 >> "$RUNBOOK_OUTPUT"; exit %d'}
  - name: publish
    activities:
      - {name: upload, run: 'cat out; echo "${{ activities.dist.outputs.artifact }} ${{ activities.lint.outputs.n }}"'}
'''


class Failures(Base):
    """A failure is held, looked at, decided; what ended badly is done again; what is to come later waits (S0.14, S0.20, S1.4, S1.5, S2.2, S2.4, S2.5)."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.daemon.start()

    def setUp(self):
        self.daemon.write_runbook('release', RELEASE % 3)

    def held(self):
        run = self.start('release')
        self.daemon.run(run).wait_state('on-hold')
        return run

    def states(self, run):
        return {a['name']: a['state'] for a in json.loads(self.ctl('--json=short', 'status', str(run)))['activities']}

    def test_decide_and_go_on(self):
        run = self.held()
        text = self.ctl('status', str(run))
        for part in ('2 activities require your input', 'unit (decision): exited with status 1 (EXIT)', 'runbookctl --user retry %d/lint' % run):
            self.assertIn(part, text)
        self.assertEqual([(e['waitsFor'], e['activity']) for e in json.loads(self.ctl('--json=short', 'explain', str(run)))], [('decision', 'unit'), ('decision', 'lint')])
        self.assertIn('%d/unit' % run, self.ctl('inbox'))
        self.assertIn('%d/unit, %d/lint' % (run, run), self.ctl('retry', str(run), status=64))
        self.assertIn('integer', self.ctl('retry', '%d/unit' % run, '-i', 'count=two', status=1))
        self.ctl('retry', '%d/unit' % run, '-i', 'count=2', '-m', 'typing error')
        self.ctl('ignore', '%d/lint' % run, '--output', 'n=7', '-m', 'style only')
        self.daemon.run(run).wait_ended()
        self.assertEqual(self.ctl('logs', '%d/upload' % run), 'built\na.tar 7\n')            # what was done is not done again
        self.assertIn('ignored by', self.ctl('status', str(run)))
        text = self.ctl('history', str(run))
        for part in ('inputs changed', 'typing error; count: 1 → 2', 'retry; typing error', 'ignore; style only'):
            self.assertIn(part, text)
        self.assertIn('rerun %d --only build' % run, self.ctl('retry', '%d/dist' % run, status=1))

    def test_fix_the_runbook_and_go_on(self):
        run = self.held()
        self.daemon.write_runbook('release', RELEASE % 0)
        self.ctl('set-input', str(run), 'count=2')
        self.ctl('retry', '%d/lint' % run, '--reload', '-m', 'repaired')
        self.ctl('retry', str(run))                     # unit alone is left
        self.daemon.run(run).wait_ended()
        self.assertEqual(set(self.states(run).values()), {'success'})
        self.assertIn('runbook read again', self.ctl('history', str(run)))

    def test_abort_and_replay(self):
        run = self.held()
        self.ctl('abort', '%d/unit' % run)
        self.ctl('abort', str(run), '-m', 'hopeless')
        self.daemon.run(run).wait_ended()
        text = self.ctl('explain', str(run))
        self.assertIn('runbookctl --user replay %d' % run, text)
        self.assertIn('That can be done until', ' '.join(text.split()))
        self.daemon.write_runbook('release', RELEASE % 0)
        text = self.ctl('replay', str(run), '-i', 'count=2', '--reload', '--follow', '-m', 'once more')
        for part in ('replays run %d.' % run, '● build ▸ dist  taken over: success; from run %d' % run, '  built\n', 'ended: success'):
            self.assertIn(part, text)
        again = int(text.split()[1])
        self.assertIn('reused from run %d' % run, self.ctl('status', str(again)))
        self.assertIn('has ended', self.ctl('replay', str(again), status=1))
        self.assertIn('ended: success', self.ctl('rerun', str(again), '--only', 'build', '--wait'))

    def test_later(self):
        run = self.start('release', '--at', '+2h', '--only', 'build')
        self.assertIn('in 1h 59min', self.ctl('list'))
        self.assertIn('passed', self.ctl('reschedule', str(run), '2001-01-01', status=1))
        self.ctl('reschedule', str(run), '2100-01-01 00:00')
        self.assertIn('starts at 2100-01-01 00:00:00', self.ctl('explain', str(run)))
        self.ctl('start-now', str(run))
        self.daemon.run(run).wait_ended()
        self.assertEqual(self.states(run), {'dist': 'success', 'unit': 'skipped', 'lint': 'skipped', 'upload': 'skipped'})

    def test_pause(self):
        run = self.held()
        self.ctl('pause', str(run), '-m', 'lunch')
        self.assertIn('(lunch)', self.ctl('explain', str(run)))
        self.ctl('resume', str(run))
        self.assertIn('on-hold', self.ctl('status', str(run)))

    def test_answered_in_a_pause(self):
        """It is nobody's turn any more but his who resumes the run."""
        self.daemon.write_runbook('sign', 'phases: [{name: p, activities: [{name: a, approval: {title: Ship it?}}]}]')
        run = self.start('sign')
        self.daemon.run(run).wait_state('on-hold')
        self.ctl('pause', str(run))
        self.assertIn('approve %d/a' % run, self.ctl('explain', str(run)))
        self.ctl('approve', '%d/a' % run)
        self.assertNotIn('%d/a' % run, self.ctl('inbox'))
        for verb in ('status', 'explain'):
            text = self.ctl(verb, str(run))
            self.assertNotIn('approve', text)
            self.assertNotIn('requires your input', text)
            self.assertIn('runbookctl --user resume %d' % run, text)
        self.assertEqual([e['waitsFor'] for e in json.loads(self.ctl('--json=short', 'explain', str(run)))], ['paused'])
        self.ctl('resume', str(run))
        self.assertEqual(self.daemon.run(run).wait_ended(), 'success')

    def test_dead_letters(self):
        self.daemon.write_runbook('twice', 'retries: {max: 1, initialInterval: 1ms}\nphases: [{name: p, activities: [{name: a, run: "exit 7"}]}]')
        self.assertIn('ended: exhausted', self.ctl('start', 'twice', '--wait', status=1))
        self.assertIn('activity a failed', self.ctl('dead-letters'))

    def test_decide_on_a_terminal(self):
        t = Terminal([program('runbookctl', 'ctl'), '--user', 'start', 'release', '-i', 'count=2', '--follow'], self.environment(), 120, 60)
        self.addCleanup(t.close)
        t.wait_for('lint failed: what now?', 'exited with status 3', '[l]ater?')
        t.type('i', 'Enter', 'style only', 'Enter')
        self.assertEqual(t.wait_exit(), 0)
        t.wait_for('decided: ignore; style only', 'ended: success')


PEOPLE = '''
owners: ['user:%s']
inputs:
  version: {type: string, required: true, pattern: '^[0-9.]+$'}
  count: {type: integer, required: true}
phases:
  - name: p
    activities:
      - {name: build, run: 'echo "build ${{ inputs.version }} ${{ inputs.count }}"'}
      - name: form
        input: {title: A form, fields: {note: {type: string, required: true, pattern: '^[a-z ]+$'}, level: {type: integer, default: 3}}}
      - {name: use, run: 'echo "${{ activities.form.outputs.note }} ${{ activities.form.outputs.level }}"'}
      - {name: owned, approval: {title: Owned}}
      - {name: others, approval: {title: Others, approvers: [no-such-user-here, 'group:no-such-group-here'], required: 2}}
'''


class People(Base):
    """Input in both its forms, whom a request is for, an override, and who did it (S0.17, S1.13, S2.3)."""

    @classmethod
    def setUpClass(cls):
        cls.me = pwd.getpwuid(os.getuid()).pw_name
        cls.daemon = Daemon()
        cls.daemon.write_runbook('people', PEOPLE % cls.me)
        cls.daemon.start()

    def inbox(self, *args):
        return {'%d/%s' % (q['run'], q['activity']): q['commands'] for q in json.loads(self.ctl('--json=short', 'inbox', *args))}

    def waits_for(self, run, activity):
        wait_until(lambda: '%d/%s' % (run, activity) in self.inbox('--all'), 'the request')

    def test_inbox_without_what_is_not_mine_to_answer(self):
        """S1.14: the starter's own request that others have to answer, and what I have approved and others have not"""
        self.daemon.write_runbook('four-eyes', 'phases: [{name: main, activities: [{name: own, needs: [], approval: {approvers: [%s], allowStarter: false}},'
                                  ' {name: both, needs: [], approval: {required: 2}}]}]' % self.me)
        run = self.start('four-eyes')
        own, both = '%d/own' % run, '%d/both' % run
        self.waits_for(run, 'own')
        self.waits_for(run, 'both')
        self.assertEqual([q for q in (own, both) if q in self.inbox()], [both])
        self.ctl('approve', both)
        self.assertEqual([q for q in (own, both) if q in self.inbox()], [])
        self.assertEqual([q for q in (own, both) if q in self.inbox('--all')], [own, both])
        self.assertIn('somebody else has to', self.ctl('approve', own, status=1))
        self.ctl('cancel', str(run))

    def test_from_start_to_end(self):
        run = self.start('people', '-i', 'count=2')
        self.waits_for(run, 'build')
        self.assertEqual(self.inbox()['%d/build' % run], ['runbookctl --user provide %d/build version=VALUE' % run])
        self.assertIn('build (input); from user:' + self.me, self.ctl('status', str(run)))
        self.assertIn('pattern', self.ctl('provide', str(run), 'version=x', status=1))
        self.assertIn('runbookctl --user set-input %d count=VALUE' % run, self.ctl('provide', str(run), 'count=3', status=1))       # the daemon's sentence, to be copied
        self.assertEqual(self.ctl('provide', str(run), 'version=1.2', '-m', 'as tagged'), '%d/build has got its input.\n' % run)
        self.waits_for(run, 'form')
        self.assertEqual(self.inbox()['%d/form' % run], ['runbookctl --user provide %d/form note=VALUE level=VALUE' % run])
        self.assertIn('note=VALUE', self.ctl('provide', str(run), 'level=7', status=1))
        self.ctl('provide', '%d/form' % run, 'note=all good', 'level=7')
        self.waits_for(run, 'owned')
        self.assertIn('%d/owned' % run, self.inbox())
        self.assertIn('Who can act: user:' + self.me, ' '.join(self.ctl('explain', str(run)).split()))
        self.ctl('approve', '%d/owned' % run)
        self.waits_for(run, 'others')
        self.assertNotIn('%d/others' % run, self.inbox())
        text = self.ctl('approve', '%d/others' % run, status=1)
        for part in ('--override', 'Who is asked: no-such-user-here, group:no-such-group-here'):
            self.assertIn(part, text)
        self.ctl('approve', '%d/others' % run, '--override', '-m', 'there is no such user')
        self.assertIn('1 of 2 have approved: ' + self.me, ' '.join(self.ctl('explain', str(run)).split()))
        self.ctl('reject', '%d/others' % run, '--override', status=1)           # once is enough for one person
        self.assertEqual(self.ctl('logs', '%d/build' % run) + self.ctl('logs', '%d/use' % run), 'build 1.2 2\nall good 7\n')
        self.audited(run)
        self.ctl('cancel', str(run))
        self.daemon.run(run).wait_ended()

    def audited(self, run):
        text = self.ctl('history', str(run), '--who', self.me)
        for part in ('as tagged; version: nothing → "1.2"', 'provide; note: "all good"; level: 7', 'approve; there is no such user; although not asked', '%s (%d)' % (self.me, os.getuid())):
            self.assertIn(part, text)
        self.assertNotIn('step started', text)
        mine = json.loads(self.ctl('--json=short', 'history', '--who', str(os.getuid())))
        self.assertEqual({(e['run'], e['uid']) for e in mine if e['run'] == run}, {(run, os.getuid())})

    def test_on_the_terminal(self):
        t = Terminal([program('runbookctl', 'ctl'), '--user', 'start', 'people', '-i', 'count=2', '--follow'], self.environment(), 100, 60)
        self.addCleanup(t.close)
        t.wait_for('p ▸ build wants input', '[p]rovide')
        t.type('p', 'Enter')
        t.wait_for('version (string)')
        t.type('x', 'Enter')
        t.wait_for('pattern', '[p]rovide')
        t.type('p', 'Enter')
        t.wait_for('version (string) [x]:')
        t.type('1.2', 'Enter')
        t.wait_for('p ▸ form wants input', '[p]rovide, [s]kip? ')
        t.type('p', 'Enter')
        t.wait_for('note (string):')
        t.type('fine', 'Enter')
        t.wait_for('level (integer) [3]:')
        t.type('Enter')
        t.wait_for('fine 3', 'p ▸ owned wants an approval')
        t.type('a', 'Enter')
        t.wait_for('p ▸ others  waits for no-such-user-here, group:no-such-group-here (approval)')
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)


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
