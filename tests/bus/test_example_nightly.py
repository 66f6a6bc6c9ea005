"""conf/runbooks/nightly.yaml and nightly-report.yaml: the whole run again, and in the end a run that writes down what happened."""
import json
import os
import tarfile

import examples
import harness

SHORT = {'initialInterval: 10min': 'initialInterval: 20ms'}


class Nightly(examples.TestCase):
    examples = {'nightly': SHORT, 'nightly-report': {}}

    def setUp(self):
        super().setUp()
        self.put('data/one', '1\n')
        self.put('data/two', '2\n')
        self.daemon.write_runbook('nightly', examples.text_of('nightly', SHORT))
        self.daemon.write_runbook('nightly-report', examples.text_of('nightly-report', {'default: /var/log/nightly': 'default: ' + self.path('reports')}))
        self.known = max([int(r[0]) for r in self.daemon.manager('ListRuns', 'a{sv}', {})[:1]], default=0)

    def night(self, **inputs):
        return self.start('nightly', **{'source': self.path('data'), 'target': self.path('backups'), **inputs})

    def others(self, run):
        """All runs of this test but this one, when nothing is under way any more."""
        harness.wait_until(lambda: self.daemon.get(harness.PATH, harness.MANAGER, 'RunsActive') == 0, 'the others')
        return [self.daemon.run(r[0]) for r in self.daemon.manager('ListRuns', 'a{sv}', {}) if r[0] > self.known and r[0] != run.id]

    def report_of(self, run):
        """The one run that followed this one."""
        found = self.others(run)
        self.assertEqual([str(r.get('Runbook')) for r in found], ['nightly-report'])
        self.assertEqual(found[0].wait_ended(), 'success')
        return found[0]

    def breaks(self, times):
        """The archive step fails so often, by a tar of our own: the source is whole."""
        text = examples.text_of('nightly', SHORT)
        count = self.path('tries')
        line = '          tar -C "$SOURCE" -czf copy.tar.gz .\n'
        self.assertEqual(text.count(line), 1)
        broken = line + '          echo x >> %s\n          if [ "$(wc -l < %s)" -le %d ]; then echo "the disk is tired" >&2; exit 9; fi\n' % (count, count, times)
        self.daemon.write_runbook('nightly', text.replace(line, broken))

    def tries(self, run):
        return len(run.events('run-started'))

    def test_verify(self):
        self.verify()

    def test_good(self):
        run = self.night()
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual((run.get('Attempt'), self.others(run)), (1, []))
        with tarfile.open(run.describe()['activities'][3]['outputs']['file']) as t:
            self.assertEqual(sorted(t.getnames()), ['.', './one', './two'])

    def test_keep(self):
        for _ in range(3):
            run = self.night(keep=2)
            self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(sorted(int(f.rsplit('-', 1)[1].split('.')[0]) for f in os.listdir(self.path('backups'))), [run.id - 1, run.id])

    def test_healed(self):
        """S4.1, S4.2: the whole run starts again, in the same run, with all its phases; what heals is told to nobody"""
        self.breaks(1)
        run = self.night()
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual((run.get('Attempt'), self.tries(run), self.others(run)), (2, 2, []))
        self.assertEqual(self.attempts(run, 'room'), [(1, 'initial', 'success'), (2, 'run-retry', 'success')])
        self.assertEqual(self.attempts(run, 'archive'), [(1, 'initial', 'failed'), (2, 'run-retry', 'success')])
        self.assertFalse(os.path.exists(self.path('reports')))

    def test_exhausted(self):
        """S4.1, S4.12, S4.14: three tries, then it is exhausted, and the report is written once, with all that was tried"""
        self.breaks(1000)
        run = self.night()
        self.assertEqual(run.wait_ended(), 'exhausted')
        self.assertEqual(self.tries(run), 3)
        report = self.report_of(run)
        self.assertEqual(report.get('Trigger'), 'failure')
        name = 'nightly-%d' % run.id
        self.assertEqual(sorted(os.listdir(self.path('reports'))), [name + '.json', name + '.txt'])
        text = self.text('reports', name + '.txt')
        self.assertIn('Run %d of nightly ended as exhausted.\nReason: %s\n' % (run.id, run.describe()['reason']), text)
        self.assertIn('archive', run.describe()['reason'])
        # S4.13, S3.13: each attempt with its times and its error
        attempts = json.loads(self.text('reports', name + '.json'))['attempts']
        self.assertEqual([(a['activity'], a['phase'], a['state'], len(a['attempts'])) for a in attempts], [('room', 'look', 'success', 3), ('archive', 'backup', 'failed', 3)])
        for told, was in zip(attempts[1]['attempts'], run.describe()['activities'][1]['attempts']):
            self.assertEqual((told['number'], told['state'], told['error']), (was['number'], 'failed', was['error']))
            self.assertGreater(told['error']['timestamp'], 0)
        self.assertEqual([t['cause'] for t in attempts[1]['attempts']], ['initial', 'run-retry', 'run-retry'])

    def test_long(self):
        """S4.13, S4.14: what was tried is told in full, also where it is longer than any variable can be"""
        line = '          tar -C "$SOURCE" -czf copy.tar.gz .\n'
        lengthy = """          {
            printf '{"message": "no", "details": "'
            head -c 60000 /dev/zero | tr '\\0' d
            printf '"}'
          } > "$RUNBOOK_ERROR"
          exit 1
"""
        text = examples.text_of('nightly', {**SHORT, line: lengthy, 'max: 2': 'max: 3'})
        self.daemon.write_runbook('nightly', text)
        run = self.night()
        self.assertEqual(run.wait_ended(), 'exhausted')
        report = self.report_of(run)
        self.assertFalse(report.get('HadErrors'))
        told = json.loads(self.text('reports', 'nightly-%d.json' % run.id))
        self.assertGreater(os.path.getsize(self.path('reports', 'nightly-%d.json' % run.id)), 200 * 1024)
        self.assertEqual((told['run'], told['runbook'], told['state'], 'cut' in told), (run.id, 'nightly', 'exhausted', False))
        self.assertEqual([t['error']['details'] for t in told['attempts'][1]['attempts']], ['d' * 60000] * 4)

    def test_replayed(self):
        """S2.4, S4.16: in the morning it is replayed by hand; that is a new run, and one more report would follow its failure"""
        self.breaks(3)
        run = self.night()
        self.assertEqual(run.wait_ended(), 'exhausted')
        report = self.report_of(run)
        new = self.again('replay', run.id)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual([r.id for r in self.others(run)], [new.id, report.id])

    def test_cancelled(self):
        """Who cancels knows: no report."""
        self.daemon.write_runbook('nightly', examples.text_of('nightly', {'initialInterval: 10min': 'initialInterval: 1d'}))
        run = self.night(source=self.path('nosuch'))
        run.wait_state('queued')
        self.assertGreater(run.get('NextRetryAt'), 0)
        self.ctl('cancel', run.id)
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.assertEqual(self.others(run), [])

    def test_killed_in_the_backoff(self):
        """The wait for the next try outlives the daemon, and there is one report in the end."""
        self.daemon.write_runbook('nightly', examples.text_of('nightly', {'initialInterval: 10min': 'initialInterval: 300ms'}))
        run = self.night(source=self.path('nosuch'))
        run.wait_state('queued')
        self.daemon.kill9()
        self.daemon.start()
        self.assertEqual(run.wait_ended(), 'exhausted')
        self.assertEqual(self.tries(run), 3)
        self.report_of(run)

    def test_killed_at_the_end(self):
        """S4.14: killed as soon as the end of the run is known: the report is there, and there is one"""
        for _ in range(4):
            run = self.night(source=self.path('nosuch'))
            self.assertEqual(run.wait_ended(), 'exhausted')
            self.daemon.kill9()
            self.daemon.start()
            self.report_of(run)
            self.known = max(r.id for r in self.others(run))

    def test_no_cascade(self):
        """S4.14: the report fails as well; that starts nothing, though somebody follows all failures"""
        self.daemon.write_runbook('any-failure', "triggers: [{onFailureOf: []}]\nphases: [{name: main, activities: [{name: tell, run: 'true'}]}]\n")
        self.put('reports', 'a file is where the directory should be')
        run = self.night(source=self.path('nosuch'))
        self.assertEqual(run.wait_ended(), 'exhausted')
        found = self.others(run)
        self.assertEqual(sorted((str(r.get('Runbook')), str(r.get('State'))) for r in found), [('any-failure', 'success'), ('nightly-report', 'failed')])
        os.unlink(os.path.join(self.daemon.runbooks, 'any-failure.yaml'))

    def test_by_hand(self):
        """Started by hand, there is nothing to report."""
        run = self.start('nightly-report')
        self.assertEqual(run.wait_ended(), 'skipped')
        self.assertFalse(os.path.exists(self.path('reports')))


if __name__ == '__main__':
    harness.main()
