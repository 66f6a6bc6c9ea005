"""conf/runbooks/release-train.yaml: a release over three phases, held on a failure, mended and continued in each way that there is."""
import os

import examples
import harness


class Train(examples.TestCase):
    examples = {'release-train': {'initialInterval: 5s': 'initialInterval: 20ms'}}

    def setUp(self):
        super().setUp()
        self.daemon.write_runbook('release-train', examples.text_of('release-train', self.examples['release-train']))
        self.put('source/build.sh', '#!/bin/sh\necho build\n')
        self.put('source/NEWS.md', '# News\n\n## 1.9\n\nOld.\n')
        self.put('source/CHANGES', 'Changes in 2.0: all of it.\n')

    def release(self, **inputs):
        return self.start('release-train', version='2.0', source=self.path('source'), target=self.path('target'), **inputs)

    def held(self, **inputs):
        """The notes say nothing of 2.0; the branches beside them have gone on and are done."""
        run = self.release(**inputs)
        run.wait_state('on-hold')
        self.assertEqual(self.states(run), {'tarball': 'success', 'scripts': 'success', 'notes': 'on-hold', 'size': 'success',
                                            'sign-off': 'pending', 'upload': 'pending', 'copy': 'pending'})
        return run

    def sign_off(self, run, **fields):
        run.wait_activity('sign-off', 'on-hold')
        self.ctl('approve', '%d/sign-off' % run.id, *[o for k, v in fields.items() for o in ('-i', '%s=%s' % (k, v))])

    def published(self, channel='beta'):
        return sorted(os.listdir(self.path('target', channel)))

    def once(self, run, *names):
        """S0.14: these ran once, and never again."""
        for name in names:
            self.assertEqual(self.attempts(run, name), [(1, 'initial', 'success')], name)

    def test_verify(self):
        self.verify()

    def test_good(self):
        """S1.1, S1.16, S0.20: in order, the checks side by side; what the sign-off asked for is used"""
        self.put('source/NEWS.md', '2.0 is here\n')
        os.mkdir(self.path('mirror'))
        run = self.release(mirror=self.path('mirror'))
        run.wait_activity('sign-off', 'on-hold')
        message = self.daemon.call(run.activity_path('sign-off'), harness.ACTIVITY, 'GetRequest')
        self.assertIn('Notes: 2.0 is here', message)
        self.sign_off(run, channel='stable', remark='long awaited')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertFalse(run.get('HadErrors'))
        file = 'release-2.0.tar.gz'
        self.assertEqual(self.published('stable'), [file, file + '.remark', file + '.sha256'])
        self.assertEqual(self.text('target', 'stable', file + '.remark'), 'long awaited\n')
        self.assertEqual(sorted(os.listdir(self.path('mirror'))), [file, file + '.sha256'])
        at = {a['name']: (a['attempts'][0]['startedAt'], a['attempts'][0]['finishedAt']) for a in run.describe()['activities']}
        for name in ('scripts', 'notes', 'size'):
            self.assertLessEqual(at['tarball'][1], at[name][0])
            self.assertLessEqual(at[name][1], at['sign-off'][0])

    def test_held(self):
        """S0.1, S0.2, S0.22, S1.11: one branch fails, the others go on; the run waits, says for what, and nothing behind it starts"""
        run = self.held()
        self.assertEqual((run.get('StatusText'), run.get('PendingRequests')), ('1 activity requires your input', 1))
        self.assertEqual([(str(p[0]), str(p[1])) for p in run.get('Phases')], [('build', 'success'), ('check', 'on-hold'), ('publish', 'pending'), ('mirror', 'pending')])
        status = self.ctl('status', run.id).stdout
        self.assertRegex(status, r'notes \(decision\): exited with status 1 \(EXIT\)')
        self.assertIn('does not speak of version 2.0', self.ctl('logs', '%d/notes' % run.id).stdout)
        self.assertIn('retry %d/notes' % run.id, self.ctl('explain', run.id).stdout)
        self.assertEqual(run.get('FinishedAt'), 0)

    def test_set_input(self):
        """S0.12, S0.14, S2.9: the input is changed, then the activity is retried, and the release continues from that point"""
        run = self.held()
        self.ctl('set-input', run.id, 'news=CHANGES', '-m', 'they are in another file')
        self.assertEqual(run.get('State'), 'on-hold', 'a changed input alone retries nothing')
        self.ctl('retry', '%d/notes' % run.id)
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.attempts(run, 'notes'), [(1, 'initial', 'failed'), (2, 'manual', 'success')])
        self.once(run, 'tarball', 'scripts', 'size', 'sign-off', 'upload')
        self.assertEqual(self.published(), ['release-2.0.tar.gz', 'release-2.0.tar.gz.sha256'])
        kinds = [str(e[3]) for e in self.whole(run)]
        self.assertLess(kinds.index('inputs-changed'), kinds.index('activity-decided'))
        self.assertEqual(run.events('inputs-changed')[0]['changes'], {'news': {'old': 'NEWS.md', 'new': 'CHANGES'}})
        self.assertIn('they are in another file', self.ctl('history', run.id).stdout)

    def test_retry_with_input(self):
        """S0.4: first with the same inputs, which fails alike; then with another one in the same breath"""
        run = self.held()
        self.ctl('retry', '%d/notes' % run.id)
        harness.wait_until(lambda: run.activity_get('notes', 'Attempt') == 2 and run.get('State') == 'on-hold', 'the second attempt')
        self.assertEqual(run.events('inputs-changed'), [])
        self.ctl('retry', '%d/notes' % run.id, '-i', 'news=CHANGES')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual([t[1:] for t in self.attempts(run, 'notes')], [('initial', 'failed'), ('manual', 'failed'), ('manual', 'success')])

    def test_two_held(self):
        """S1.13: two branches wait, each for itself, and are mended one by one"""
        run = self.release(limit=100)
        harness.wait_until(lambda: run.get('PendingRequests') == 2, 'both')
        run.wait_state('on-hold')
        self.assertEqual(run.get('StatusText'), '2 activities require your input')
        self.ctl('retry', '%d/size' % run.id, '-i', 'limit=1000000')
        run.wait_activity('size', 'success')
        self.assertEqual(self.states(run)['notes'], 'on-hold')
        self.ctl('retry', '%d/notes' % run.id, '-i', 'news=CHANGES')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')

    def test_fixed_input(self):
        """S2.6: what is mandatory for the whole release stays what it was"""
        run = self.held()
        p = self.ctl('retry', '%d/notes' % run.id, '-i', 'version=1.9', check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('version', p.stderr)
        self.assertEqual((run.get('State'), run.call('GetInputs')['version']), ('on-hold', '2.0'))

    def test_ignore(self):
        """S0.8, S0.9, S0.10, S1.18: waived, and the next activity comes; it shows in the states, the history and the end"""
        run = self.held()
        self.ctl('ignore', '%d/notes' % run.id, '-m', 'there is nothing to say')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'partial-success')
        self.assertTrue(run.get('HadErrors'))
        self.assertEqual(self.states(run)['notes'], 'ignored')
        self.assertEqual(self.published(), ['release-2.0.tar.gz', 'release-2.0.tar.gz.sha256'])
        history = self.ctl('history', run.id).stdout
        self.assertRegex(history, r'(?m)^\S+ \S+ +%s +.*notes.*there is nothing to say' % run.describe()['startedByName'])
        self.assertRegex(self.ctl('status', run.id).stdout, r'notes +ignored')
        self.once(run, 'tarball', 'scripts', 'size')

    def test_ignored_in_the_message(self):
        """What was ignored has no outputs: those who use them see null."""
        run = self.held()
        self.ctl('ignore', '%d/notes' % run.id)
        run.wait_activity('sign-off', 'on-hold')
        self.assertIn('none, that check was waived', self.daemon.call(run.activity_path('sign-off'), harness.ACTIVITY, 'GetRequest'))
        self.ctl('cancel', run.id)
        run.wait_ended()

    def test_mirror(self):
        """S1.16, S1.17, S1.18: the optional phase fails: the release is out all the same, and its end says so"""
        self.put('source/NEWS.md', '2.0\n')
        run = self.release(mirror=self.path('nosuch', 'directory'))
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'partial-success')
        self.assertEqual([(str(p[0]), str(p[1])) for p in run.get('Phases')], [('build', 'success'), ('check', 'success'), ('publish', 'success'), ('mirror', 'failed')])
        self.assertEqual([s for _, _, s in self.attempts(run, 'copy')], ['failed', 'failed'])
        self.assertEqual(len(self.published()), 2)

    def test_rejected(self):
        """The sign-off says no: nothing is published, nobody is asked again, and a replay asks anew."""
        self.put('source/NEWS.md', '2.0\n')
        run = self.release()
        run.wait_activity('sign-off', 'on-hold')
        self.ctl('reject', '%d/sign-off' % run.id, '-m', 'not in this week')
        self.assertEqual(run.wait_ended(), 'rejected')
        self.assertFalse(os.path.exists(self.path('target')))
        new = self.again('replay', run.id)
        self.sign_off(new, channel='stable')
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual({a['name'] for a in new.describe()['activities'] if a['reusedFrom'] == run.id}, {'tarball', 'scripts', 'notes', 'size'})
        self.assertEqual(len(self.published('stable')), 2)

    def test_reload(self):
        """S0.3, S0.13, S0.14: the runbook itself was wrong; it is corrected, and the run goes on with it"""
        good = examples.text_of('release-train', self.examples['release-train'])
        broken = good.replace('grep -nwF', 'grep -nwG --no-such-option')
        self.assertNotEqual(good, broken)
        self.put('source/NEWS.md', '2.0\n')
        self.daemon.write_runbook('release-train', broken)
        run = self.held()
        self.daemon.write_runbook('release-train', good)
        self.ctl('retry', '%d/notes' % run.id)                          # without --reload it is the old one
        harness.wait_until(lambda: run.activity_get('notes', 'Attempt') == 2 and run.get('State') == 'on-hold', 'the second attempt')
        self.ctl('retry', '%d/notes' % run.id, '--reload', '-m', 'the option was wrong')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')
        self.once(run, 'tarball', 'scripts', 'size')
        changed = run.events('definition-changed')[0]
        self.assertNotEqual(changed['definition'], changed['previous'])
        self.assertEqual(run.call('GetDefinition'), good)

    def test_reload_refused(self):
        """S0.14: what has already run can't be changed any more; the answer says what would"""
        run = self.held()
        good = examples.text_of('release-train')
        self.daemon.write_runbook('release-train', good.replace('--sort=name ', ''))
        p = self.ctl('retry', '%d/notes' % run.id, '--reload', check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('phases.build.activities.tarball', p.stderr)
        self.assertEqual(run.get('State'), 'on-hold')
        self.ctl('retry', '%d/notes' % run.id, '-i', 'news=CHANGES')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')

    def aborted(self):
        run = self.held()
        self.ctl('abort', '%d/notes' % run.id, '-m', 'not today')
        self.assertEqual(run.wait_ended(), 'failed')
        self.assertEqual(self.states(run), {'tarball': 'success', 'scripts': 'success', 'notes': 'failed', 'size': 'success',
                                            'sign-off': 'skipped', 'upload': 'skipped', 'copy': 'skipped'})
        return run

    def test_replay(self):
        """S2.1, S2.7, S2.8, S2.10, S4.15, S4.16, S4.17: aborted, and later continued as a new run from the phase that failed"""
        run = self.aborted()
        before = (run.get_all(), run.describe(), run.history())
        new = self.again('replay', run.id, '--from', 'check', '-i', 'news=CHANGES')
        self.sign_off(new)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual({a['name'] for a in new.describe()['activities'] if a['reusedFrom'] == run.id}, {'tarball', 'scripts', 'size'})
        self.assertEqual(new.get('ReplayOf'), run.id)
        self.assertEqual(self.published(), ['release-2.0.tar.gz', 'release-2.0.tar.gz.sha256'])
        self.assertEqual((run.get_all(), run.describe(), run.history()), before)

    def test_replay_all_parallel(self):
        """S2.10, S2.11: all of the parallel ones, not only the one that failed"""
        run = self.aborted()
        new = self.again('replay', run.id, '--from', 'check', '--all-parallel', '-i', 'news=CHANGES')
        self.sign_off(new)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual({a['name'] for a in new.describe()['activities'] if a['reusedFrom'] == run.id}, {'tarball'})

    def test_replay_from_the_start(self):
        """S2.7: any previous phase"""
        run = self.aborted()
        self.put('source/NEWS.md', '2.0\n')
        new = self.again('replay', run.id, '--from', 'build')
        self.sign_off(new)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual([a['name'] for a in new.describe()['activities'] if a['reusedFrom']], [])

    def test_rerun_only(self):
        """S2.5: a phase of a run that went well is no retry, but a new run of that phase"""
        self.put('source/NEWS.md', '2.0\n')
        run = self.release()
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')
        p = self.ctl('retry', '%d/notes' % run.id, check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('rerun', p.stderr)
        new = self.again('rerun', run.id, '--only', 'build')
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual({k: v for k, v in self.states(new).items() if v != 'skipped'}, {'tarball': 'success'})

    def test_killed(self):
        """S0.22: what waits for a person, waits on over the death of the daemon, and goes on from there"""
        run = self.held()
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual((run.get('State'), run.activity_get('notes', 'WaitingFor')), ('on-hold', 'decision'))
        self.ctl('retry', '%d/notes' % run.id, '-i', 'news=CHANGES')
        self.sign_off(run)
        self.assertEqual(run.wait_ended(), 'success')
        self.once(run, 'tarball', 'scripts', 'size')


if __name__ == '__main__':
    harness.main()
