"""conf/runbooks/deploy.yaml: whatever happens to a deployment, `current` names a release that was healthy, and the lock is free afterwards."""
import os
import re

import examples
import harness

GOOD = {'health-check': '#!/bin/sh\nexit 0\n', 'page': 'new\n'}
BROKEN = {'health-check': '#!/bin/sh\necho the page is empty\nexit 3\n', 'page': ''}
HOOKS_WELL = ['onSuccess', 'onSuccess', 'post', 'post']
HOOKS_BADLY = ['onFailure', 'onFailure', 'post', 'post']


class Base(examples.TestCase):
    examples = {'deploy': {'initialInterval: 30s': 'initialInterval: 20ms'}}

    def deploy(self, version, archive, **inputs):
        return self.start('deploy', version=version, archive=archive, target=self.path('site'), **inputs)

    def first(self):
        """A site with a healthy release 1.0."""
        run = self.deploy('1.0', self.tarball('one.tar.gz', {**GOOD, 'page': 'old\n'}))
        self.assertEqual(run.wait_ended(), 'success')
        return run

    def hanging(self):
        """A release whose health check takes as long as it is let."""
        return self.tarball('hanging.tar.gz', {**GOOD, 'health-check': "#!/bin/sh\ntouch %s\nuntil [ -e %s ]; do sleep 0.01; done\n" % (self.path('asked'), self.path('go'))})

    def wait_asked(self):
        harness.wait_until(lambda: os.path.exists(self.path('asked')), 'the health check\n' + self.daemon.log())

    def current(self):
        link = self.path('site', 'current')
        return os.readlink(link) if os.path.lexists(link) else None

    def releases(self):
        return sorted(os.listdir(self.path('site', 'releases')))

    def lock(self):
        link = self.path('site', 'lock')
        return os.readlink(link) if os.path.lexists(link) else None

    def log_lines(self):
        return [line.split(' ', 1)[1] for line in self.text('site', 'deploy.log').splitlines()]

    def hooks(self, run, attempt):
        """The steps of the hooks behind the main steps; all are well."""
        found = [(kind, state) for kind, _, state in self.steps(run, 'deploy', attempt) if kind not in ('pre', 'main')]
        self.assertEqual({state for _, state in found}, {'success'})
        return [kind for kind, _ in found]

    def check_old(self, first):
        """The old release is what is in use, whole, and nothing of the new one is left."""
        name = '1.0+%d.1' % first.id
        self.assertEqual((self.current(), self.lock(), self.releases()), ('releases/' + name, None, [name]))
        self.assertEqual(self.text('site', 'current', 'page'), 'old\n')


class Deploy(Base):
    def test_verify(self):
        self.verify()

    def test_healthy(self):
        """S3.22, S3.23: pre, steps, onSuccess, post"""
        first = self.first()
        self.assertEqual(self.hooks(first, 1), HOOKS_WELL)
        self.check_old(first)
        second = self.deploy('1.1', self.tarball('two.tar.gz', GOOD))
        self.assertEqual(second.wait_ended(), 'success')
        self.assertEqual([s[2] for s in self.steps(second, 'deploy', 1)], ['success'] * 9)
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.1' % second.id, None))
        self.assertEqual(self.text('site', 'current', 'page'), 'new\n')
        self.assertEqual(self.log_lines(), ['run %d deployed 1.0, attempt 1' % first.id, 'run %d deployed 1.1, attempt 1' % second.id])

    def test_prune(self):
        for n in range(4):
            self.assertEqual(self.deploy('2.%d' % n, self.tarball('a.tar.gz', GOOD), keep=2).wait_ended(), 'success')
        self.assertEqual([r.split('+')[0] for r in self.releases()], ['2.1', '2.2', '2.3'])

    def test_rolled_back(self):
        """S3.21, S3.22: an unhealthy release is taken back by onFailure, which is told what failed; post frees the lock; then a person is asked"""
        first = self.first()
        run = self.deploy('1.1', self.tarball('two.tar.gz', BROKEN))
        run.wait_state('on-hold')
        self.check_old(first)
        self.assertEqual(self.hooks(run, 1), HOOKS_BADLY)
        self.assertEqual(self.log_lines()[1:], ['run %d did not deploy 1.1, attempt 1: health: EXIT: exited with status 3' % run.id])
        self.assertEqual(self.text('site', 'deploy-%d-failed.txt' % run.id), 'the page is empty\n\n')
        self.assertIn('back to releases/1.0', run.log('deploy'))
        # S0.1: how to proceed is up to the operator, and the means are named
        explained = self.ctl('explain', run.id).stdout
        for verb in ('retry', 'ignore', 'abort'):
            self.assertIn('runbookctl --user %s %d/deploy' % (verb, run.id), explained)
        self.ctl('abort', '%d/deploy' % run.id, '-m', 'not today')
        self.assertEqual(run.wait_ended(), 'failed')
        self.check_old(first)

    def test_fixed_outside(self):
        """S0.3, S0.4, S0.5, S0.6: the archive is replaced, and the same inputs are tried again; what had ended well is not done again"""
        self.first()
        archive = self.tarball('two.tar.gz', BROKEN)
        run = self.deploy('1.1', archive)
        run.wait_state('on-hold')
        inputs = run.call('GetInputs')
        self.assertEqual(self.tarball('two.tar.gz', GOOD), archive)
        self.ctl('retry', '%d/deploy' % run.id, '-m', 'a new archive is there')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.call('GetInputs'), inputs)
        self.assertEqual(run.events('inputs-changed'), [])
        self.assertEqual(self.attempts(run, 'deploy'), [(1, 'initial', 'failed'), (2, 'manual', 'success')])
        self.assertEqual((self.hooks(run, 1), self.hooks(run, 2)), (HOOKS_BADLY, HOOKS_WELL))
        self.assertEqual(self.attempts(run, 'archive'), [(1, 'initial', 'success')])
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.2' % run.id, None))
        # S0.7, S0.10: all of it can be read afterwards, with who and why
        who = re.escape(run.describe()['startedByName'])
        self.assertRegex(self.ctl('history', run.id).stdout, r'(?m)^\S+ \S+ +%s +\S.*deploy .*a new archive is there' % who)

    def test_other_inputs(self):
        """S0.12: other inputs, then retry: it goes on from there"""
        self.first()
        run = self.deploy('1.1', self.tarball('two.tar.gz', BROKEN))
        run.wait_state('on-hold')
        self.ctl('set-input', run.id, 'health=test -e page')
        self.ctl('retry', '%d/deploy' % run.id)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([list(d['changes']) for d in run.events('inputs-changed')], [['health']])
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.2' % run.id, None))

    def test_first_is_broken(self):
        """There is nothing to go back to."""
        run = self.deploy('1.0', self.tarball('one.tar.gz', BROKEN))
        run.wait_state('on-hold')
        self.assertEqual((self.current(), self.lock(), self.releases()), (None, None, []))
        self.ctl('cancel', run.id)
        self.assertEqual(run.wait_ended(), 'cancelled')

    def test_cancelled(self):
        """S3.23: a cancel in the middle: rolled back, and the lock is free"""
        first = self.first()
        run = self.deploy('1.1', self.hanging())
        self.wait_asked()
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.1' % run.id, 'run-%d' % run.id))
        self.ctl('cancel', run.id, '-m', 'wrong archive')
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.check_old(first)
        self.assertEqual(self.hooks(run, 1), HOOKS_BADLY)
        self.assertIn(': health: CANCELLED:', self.log_lines()[1])

    def test_locked(self):
        """Another deployment is at work in the same place: it is waited for, and what belongs to it is left alone."""
        self.first()
        run = self.deploy('1.1', self.hanging())
        self.wait_asked()
        other = self.deploy('1.2', self.tarball('three.tar.gz', GOOD))
        other.wait_state('on-hold')
        self.assertEqual([s for _, _, s in self.attempts(other, 'deploy')], ['failed'] * 4)
        self.assertEqual({t['error']['code'] for t in other.describe()['activities'][1]['attempts']}, {'LOCKED'})
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.1' % run.id, 'run-%d' % run.id))
        self.put('go', '')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertIsNone(self.lock())
        self.ctl('retry', '%d/deploy' % other.id)
        self.assertEqual(other.wait_ended(), 'success')
        self.assertEqual(self.current(), 'releases/1.2+%d.5' % other.id)


class Killed(Base):
    """S3.34: the daemon dies in the middle, and comes back."""

    def test_in_the_health_check(self):
        """The attempt is interrupted, its post frees the lock, and another one begins; the release that was there before the run is not forgotten."""
        first = self.first()
        run = self.deploy('1.1', self.hanging())
        self.wait_asked()
        self.daemon.kill9()
        self.assertEqual(self.lock(), 'run-%d' % run.id, 'nobody else may come in between')
        os.unlink(self.path('asked'))
        self.daemon.start()
        self.wait_asked()
        self.assertEqual((self.current(), self.lock()), ('releases/1.1+%d.2' % run.id, 'run-%d' % run.id))
        self.assertEqual(self.hooks(run, 1), ['post', 'post'])
        self.put('go', '')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run, 'deploy'), [(1, 'initial', 'interrupted'), (2, 'resume', 'success')])
        self.assertEqual(self.attempts(run, 'archive'), [(1, 'initial', 'success')])
        self.assertIsNone(self.lock())
        self.assertEqual(self.log_lines()[1:], ['run %d deployed 1.1, attempt 2' % run.id])
        self.assertIn('1.0+%d.1' % first.id, self.releases())

    def test_then_cancelled(self):
        """Killed, resumed, cancelled: back to what was there before the first attempt."""
        first = self.first()
        run = self.deploy('1.1', self.hanging())
        self.wait_asked()
        self.daemon.kill9()
        os.unlink(self.path('asked'))
        self.daemon.start()
        self.wait_asked()
        self.ctl('cancel', run.id)
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.assertEqual((self.current(), self.lock()), ('releases/1.0+%d.1' % first.id, None))

    def test_stopped(self):
        """A clean stop is an interruption too."""
        self.first()
        run = self.deploy('1.1', self.hanging())
        self.wait_asked()
        os.unlink(self.path('asked'))
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.wait_asked()
        self.put('go', '')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run, 'deploy'), [(1, 'initial', 'interrupted'), (2, 'resume', 'success')])
        self.assertIsNone(self.lock())


if __name__ == '__main__':
    harness.main()
