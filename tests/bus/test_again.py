"""Again, as a new run: Replay and Rerun."""
import contextlib
import os
import sqlite3
import time

import dbus

import harness
from harness import ASK, INVALID_ARGS

THREE = '''
inputs:
  version: {type: string, default: '1'}
  count: {type: integer, default: 1}
  locked: {type: string, default: a, fixed: true}
defaults: {failurePolicy: fail}
phases:
  - name: build
    activities:
      - name: compile
        run: 'echo "compiled ${{ inputs.version }}"; echo made >made; echo artifact=one >>"$RUNBOOK_OUTPUT"'
  - name: test
    activities:
      - {name: unit, run: 'echo unit ok'}
      - {name: system, needs: [], run: 'echo "count ${{ inputs.count }}"; test "${{ inputs.count }}" != 1'}
  - name: other
    needs: [build]
    activities:
      - {name: lint, run: 'echo lint'}
  - name: ship
    activities:
      - {name: upload, run: 'echo "${{ activities.compile.outputs.artifact }}"; if [ -e made ]; then cat made; fi'}
'''


def options(**kwargs):
    return dbus.Dictionary({k: dbus.Dictionary(v, signature='sv') if isinstance(v, dict) else v for k, v in kwargs.items()}, signature='sv')


class Base(harness.TestCase):
    def setUp(self):
        self.file = self.daemon.write_runbook('three', THREE)

    def again(self, run, method, **kwargs):
        number, path = run.call(method, 'a{sv}', options(**kwargs))
        new = harness.Run(self.daemon, number, path)
        self.assertEqual(new.path, self.daemon.run(new.id).path)
        self.assertGreater(new.id, run.id)
        return new

    def ended(self, state='failed', inputs=None):
        run = self.daemon.start_run('three', inputs)
        self.assertEqual(run.wait_ended(), state)
        return run

    @staticmethod
    def reused(run):
        return {a['name']: a['reusedFrom'] for a in run.describe()['activities'] if a['reusedFrom']}

    @staticmethod
    def ran(run):
        return {a['name'] for a in run.describe()['activities'] if a['attempts']}


class Replays(Base):
    def rows(self, run):
        """All that the store has of a run. It belongs to the daemon alone while that runs."""
        self.assertEqual(self.daemon.stop(), 0)
        with contextlib.closing(sqlite3.connect(os.path.join(self.daemon.state, 'runbookd.db'))) as db:
            found = [db.execute('SELECT * FROM %s WHERE %s = ? ORDER BY 1, 2' % t, (run.id,)).fetchall() for t in (('runs', 'id'), ('events', 'id >> 31'))]
        self.daemon.start()
        self.assertTrue(all(found))
        return found

    def test_replay(self):
        """S4.17, S2.4, S2.8: a new run takes over what had succeeded; the original stays as it is"""
        run = self.ended()
        before = (run.get_all(), run.describe(), run.history(), self.rows(run))
        new = self.again(run, 'Replay', Inputs={'count': '2'}, Comment='the server is back')
        self.assertEqual(new.wait_ended(), 'success')
        p = new.get_all()
        self.assertEqual((p['ReplayOf'], p['RootRun'], p['Trigger'], p['StartedBy'], p['Runbook']), (run.id, run.id, 'replay', os.getuid(), 'three'))
        self.assertEqual(self.reused(new), {'compile': run.id, 'unit': run.id, 'lint': run.id})
        self.assertEqual(self.ran(new), {'system', 'upload'})
        self.assertEqual(new.call('GetInputs'), {'version': '1', 'count': 2, 'locked': 'a'})
        self.assertEqual((new.log('system'), new.log('upload')), ('count 2\n', 'one\nmade\n'))
        self.assertIn('the server is back', str(new.history()[0][5]))
        self.assertEqual((run.get_all(), run.describe(), run.history(), self.rows(run)), before)

    def test_roots(self):
        run = self.ended()
        second = self.again(run, 'Replay')
        self.assertEqual(second.wait_ended(), 'failed')
        third = self.again(second, 'Replay', Inputs={'count': dbus.Int32(3)})
        self.assertEqual(third.wait_ended(), 'success')
        self.assertEqual((third.get('ReplayOf'), third.get('RootRun')), (second.id, run.id))
        self.assertEqual(self.reused(third), {'compile': run.id, 'unit': run.id, 'lint': run.id})

    def test_workspace(self):
        run = self.ended()
        new = self.again(run, 'Replay', Inputs={'count': 2}, FreshWorkspace=True)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual(new.log('upload'), 'one\n')

    def test_from(self):
        """S2.1, S2.7, S2.10"""
        run = self.ended()
        for kwargs, ran in (({'From': 'compile'}, {'compile', 'unit', 'system', 'lint', 'upload'}), ({'From': 'build'}, {'compile', 'unit', 'system', 'lint', 'upload'}),
                            ({'From': 'unit'}, {'unit', 'system', 'upload'}), ({'From': 'test'}, {'system', 'upload'}),
                            ({'From': 'test', 'AllParallel': True}, {'unit', 'system', 'lint', 'upload'}), ({'From': 'lint'}, {'lint', 'system', 'upload'})):
            with self.subTest(**kwargs):
                new = self.again(run, 'Replay', Inputs={'count': 2}, **kwargs)
                self.assertEqual(new.wait_ended(), 'success')
                self.assertEqual(self.ran(new), ran)

    def test_from_nothing(self):
        run = self.ended()
        for name in ('upload', 'ship'):
            with self.error('WrongState'):
                self.again(run, 'Replay', From=name)
        with self.error('NoSuchActivity'):
            self.again(run, 'Replay', From='nosuch')
        with self.error('TooLarge'):
            self.again(run, 'Replay', From='x' * 257)

    def test_inputs(self):
        """S2.9, S2.6"""
        run = self.ended()
        newest = self.daemon.manager('ListRuns', 'a{sv}', {})[0][0]
        for name, inputs in (('InputFixed', {'locked': 'b'}), ('InvalidInput', {'count': 'many'}), ('InvalidInput', {'nosuch': 1})):
            with self.error(name):
                self.again(run, 'Replay', Inputs=inputs)
        self.assertEqual(self.daemon.manager('ListRuns', 'a{sv}', {})[0][0], newest, 'a run was made')

    def test_wrong_state(self):
        """S2.4"""
        with self.error('WrongState'):
            self.again(self.ended('success', {'count': 2}), 'Replay')
        self.daemon.write_runbook('ask', ASK)
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        for method in ('Replay', 'Rerun'):
            with self.error('WrongState'):
                self.again(run, method)
        run.activity('sign-off', 'Reject', 'a{sv}', {})
        self.assertEqual(run.wait_ended(), 'rejected')
        new = self.again(run, 'Replay')
        new.wait_state('on-hold')
        new.call('Cancel', 'a{sv}', {})
        self.assertEqual(new.wait_ended(), 'cancelled')
        again = self.again(new, 'Replay')
        again.wait_state('on-hold')
        again.approve('sign-off')
        self.assertEqual(again.wait_ended(), 'success')

    def test_reload(self):
        run = self.ended()
        self.daemon.write_runbook('three', THREE.replace('echo "compiled', 'echo "compiled anew'))
        with self.error('DefinitionChanged'):
            self.again(run, 'Replay', Reload=True)
        self.daemon.write_runbook('three', THREE.replace(' != 1', ' = 1'))
        new = self.again(run, 'Replay', Reload=True)
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual(self.ran(new), {'system', 'upload'})
        self.daemon.write_runbook('three', 'phases: 7\n')
        with self.error('InvalidRunbook'):
            self.again(run, 'Replay', Reload=True)
        os.unlink(self.file)
        with self.error('NoSuchRunbook'):
            self.again(run, 'Replay', Reload=True)
        self.assertEqual(self.again(run, 'Replay', Inputs={'count': 2}).wait_ended(), 'success')       # its own is kept

    def test_options(self):
        run = self.ended()
        for o in ({'Only': ['test']}, {'from': 'test'}, {'From': 1}, {'AllParallel': 'yes'}, {'Inputs': 'x'}, {'Strict': True}):
            with self.error(INVALID_ARGS):
                self.again(run, 'Replay', **o)
        for o in ({'From': 'test'}, {'AllParallel': True}, {'Only': 'test'}, {'Only': dbus.Array([], signature='s')}, {'FreshWorkspace': True}):
            with self.error(INVALID_ARGS):
                self.again(run, 'Rerun', **o)
        for method in ('Replay', 'Rerun'):
            with self.error('TooLarge'):
                self.again(run, method, Comment='x' * 4097)


class Reruns(Base):
    def test_rerun(self):
        """S2.2, S2.5, S2.11: all of it, also after success; old values where no new ones are given"""
        run = self.ended('success', {'count': 2, 'version': '7'})
        new = self.again(run, 'Rerun')
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual((self.reused(new), self.ran(new)), ({}, {'compile', 'unit', 'system', 'lint', 'upload'}))
        self.assertEqual(new.call('GetInputs'), {'version': '7', 'count': 2, 'locked': 'a'})
        self.assertEqual((new.get('ReplayOf'), new.get('Trigger')), (run.id, 'rerun'))
        new = self.again(run, 'Rerun', Inputs={'locked': 'b', 'count': '3'})
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual(new.call('GetInputs'), {'version': '7', 'count': 3, 'locked': 'b'})

    def test_only(self):
        """S2.5: one phase alone; what is not selected has the outputs that it had"""
        run = self.ended('success', {'count': 2})
        new = self.again(run, 'Rerun', Only=['ship'])
        self.assertEqual(new.wait_ended(), 'success')
        self.assertEqual(self.ran(new), {'upload'})
        self.assertEqual(new.log('upload'), 'one\n')
        self.assertEqual([tuple(map(str, p)) for p in new.get('Phases')],
                         [('build', 'skipped', 'not-selected'), ('test', 'skipped', 'not-selected'), ('other', 'skipped', 'not-selected'), ('ship', 'success', '')])
        with self.error('InvalidInput'):
            self.again(run, 'Rerun', Only=['nosuch'])

    def test_reload(self):
        run = self.ended('success', {'count': 2})
        changed = THREE.replace('echo "compiled', 'echo "compiled anew')
        self.daemon.write_runbook('three', changed)
        old, new = self.again(run, 'Rerun'), self.again(run, 'Rerun', Reload=True)
        self.assertEqual((old.wait_ended(), new.wait_ended()), ('success', 'success'))
        self.assertEqual((old.call('GetDefinition'), new.call('GetDefinition')), (THREE, changed))

    def test_invalid_input(self):
        run = self.ended()
        for inputs in ({'count': 'many'}, {'nosuch': 1}):
            with self.error('InvalidInput'):
                self.again(run, 'Rerun', Inputs=inputs)


class Window(Base):
    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nRetryWindowSec=1s\n')

    def test_too_old(self):
        """S2.12"""
        run = self.ended()
        created = run.get('CreatedAt')
        self.assertEqual(run.describe()['replayUntil'], created + 1000000)
        harness.wait_until(lambda: time.time() * 1000000 > created + 1001000, 'the window to pass')
        with self.error('TooOld'):
            self.again(run, 'Replay')
        self.assertEqual(self.again(run, 'Rerun', Inputs={'count': 2}).wait_ended(), 'success')        # has no window


if __name__ == '__main__':
    harness.main()
