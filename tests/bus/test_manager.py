"""The Manager: methods, options, errors, properties, and what values may be given to a run."""
import json
import os

import dbus

import harness
from harness import ASK, HELLO, INVALID_ARGS, MANAGER, PATH, UNKNOWN_OBJECT

TYPES = '''
inputs:
  text: {type: string}
  count: {type: integer}
  ratio: {type: number}
  flag: {type: boolean}
  channel: {type: choice, options: [beta, stable], default: beta}
  items: {type: list}
  map: {type: object}
phases:
  - name: main
    activities:
      - {name: a, run: "true"}
'''

REQUIRED = '''
inputs:
  version: {type: string, pattern: '^[0-9]+$', required: true}
phases: [{name: main, activities: [{name: a, run: 'echo "${{ inputs.version }}"'}]}]
'''


class Manager(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in (('hello', HELLO), ('ask', ASK), ('types', TYPES), ('required', REQUIRED)):
            cls.daemon.write_runbook(name, text)

    # -- StartRun

    def test_start(self):
        run = self.daemon.start_run('hello')
        self.assertEqual(run.path, '%s/run/%d' % (PATH, run.id))
        self.assertEqual(run.wait_ended(), 'success')

    def test_numbers_rise(self):
        a, b = self.daemon.start_run('hello'), self.daemon.start_run('hello')
        self.assertEqual(b.id, a.id + 1)

    def test_no_such_runbook(self):
        with self.error('NoSuchRunbook'):
            self.daemon.start_run('helo')
        with self.error('NoSuchRunbook'):
            self.daemon.start_run('../../etc/passwd')
        with self.error('NoSuchRunbook'):
            self.daemon.start_run('')

    def test_invalid_runbook(self):
        path = self.daemon.write_runbook('broken', 'phases: 7\n')
        with self.error('InvalidRunbook'):
            self.daemon.start_run('broken')
        os.unlink(path)

    def test_unknown_option(self):
        for options in ({'dedupKey': 'x'}, {'Foo': 1}, {'ReplayOf': dbus.UInt32(1)}, {'': ''}):
            with self.error(INVALID_ARGS):
                self.daemon.start_run('hello', **options)

    def test_option_of_wrong_type(self):
        for options in ({'DedupKey': 1}, {'StartAt': dbus.Int64(1)}, {'Only': 'main'}, {'Strict': 'yes'}, {'Labels': 'a=b'}, {'Labels': dbus.Dictionary({'a': 1}, signature='sv')}, {'Comment': True}):
            with self.error(INVALID_ARGS):
                self.daemon.start_run('hello', **options)

    def test_arguments_of_wrong_type(self):
        with self.error(INVALID_ARGS):
            self.daemon.manager('StartRun', 's', 'hello')

    def test_dedup_key(self):
        a = self.daemon.start_run('hello', DedupKey='one')
        b = self.daemon.start_run('hello', DedupKey='one')
        c = self.daemon.start_run('hello', DedupKey='two')
        self.assertEqual(a.id, b.id)
        self.assertNotEqual(a.id, c.id)
        with self.error(INVALID_ARGS):
            self.daemon.start_run('hello', DedupKey='')
        with self.error('TooLarge'):
            self.daemon.start_run('hello', DedupKey='x' * 257)
        self.daemon.start_run('hello', DedupKey='x' * 256)

    def test_strict(self):
        with self.error('InvalidInput'):
            self.daemon.start_run('required', Strict=True)
        self.assertEqual(self.daemon.start_run('required', {'version': '12'}, Strict=True).wait_ended(), 'success')

    def test_labels(self):
        run = self.daemon.start_run('hello', Labels=dbus.Dictionary({'team': 'ops', 'leer': ''}, signature='ss'))
        self.assertEqual(dict(run.get('Labels')), {'team': 'ops', 'leer': ''})
        many = {'k%d' % i: 'v' for i in range(65)}
        with self.error('TooLarge'):
            self.daemon.start_run('hello', Labels=dbus.Dictionary(many, signature='ss'))
        many.popitem()
        self.daemon.start_run('hello', Labels=dbus.Dictionary(many, signature='ss'))
        for label in ({'k' * 1025: 'v'}, {'k': 'v' * 1025}):
            with self.error('TooLarge'):
                self.daemon.start_run('hello', Labels=dbus.Dictionary(label, signature='ss'))

    def test_comment(self):
        run = self.daemon.start_run('hello', Comment='because of "this"')
        self.assertIn('because of', run.history()[0][5])
        self.daemon.start_run('hello', Comment='x' * 4096)
        with self.error('TooLarge'):
            self.daemon.start_run('hello', Comment='x' * 4097)

    # -- inputs

    def inputs_of(self, given):
        return self.daemon.start_run('types', given).call('GetInputs')

    def test_inputs_round_trip(self):
        given = {'text': 'Käse\n', 'count': dbus.Int64(-5), 'ratio': 0.25, 'flag': True, 'channel': 'stable',
                 'items': dbus.Array([dbus.Int64(1), 'zwei', False], signature='v'),
                 'map': dbus.Dictionary({'a': dbus.Int64(1), 'b': dbus.Array(['x'], signature='v')}, signature='sv')}
        got = self.inputs_of(given)
        self.assertEqual(got['text'], 'Käse\n')
        self.assertIsInstance(got['count'], dbus.Int64)
        self.assertEqual(got['count'], -5)
        self.assertIsInstance(got['ratio'], dbus.Double)
        self.assertEqual(got['ratio'], 0.25)
        self.assertIsInstance(got['flag'], dbus.Boolean)
        self.assertEqual(got['channel'], 'stable')
        self.assertEqual(got['items'].signature, 'v')
        self.assertEqual(list(got['items']), [1, 'zwei', False])
        self.assertEqual(got['map'], {'a': 1, 'b': ['x']})

    def test_defaults_are_filled_in(self):
        self.assertEqual(self.inputs_of({}), {'channel': 'beta'})

    def test_other_types_are_taken(self):
        for value in (dbus.Byte(7), dbus.Int16(7), dbus.UInt16(7), dbus.Int32(7), dbus.UInt32(7), dbus.UInt64(7)):
            self.assertEqual(self.inputs_of({'count': value})['count'], 7)
        self.assertEqual(self.inputs_of({'items': dbus.Array(['a', 'b'], signature='s')})['items'], ['a', 'b'])
        self.assertEqual(self.inputs_of({'map': dbus.Dictionary({'a': 'b'}, signature='ss')})['map'], {'a': 'b'})

    def test_text_is_read_as_json(self):
        got = self.inputs_of({'count': '12', 'ratio': '1.5', 'flag': 'true', 'items': '[1,"x"]', 'map': '{"a":[]}', 'text': '12'})
        self.assertEqual((got['count'], got['ratio'], got['flag'], got['text']), (12, 1.5, True, '12'))
        self.assertEqual((list(got['items']), got['map']), ([1, 'x'], {'a': []}))
        for name, text in (('count', 'zwölf'), ('items', '[1'), ('flag', 'yes'), ('count', 'null'), ('map', '')):
            with self.error('InvalidInput'):
                self.inputs_of({name: text})

    def test_wrong_inputs(self):
        for given in ({'nosuch': 1}, {'channel': 'gamma'}, {'count': 1.5}, {'flag': 1}, {'items': dbus.Dictionary({}, signature='sv')}):
            with self.error('InvalidInput'):
                self.inputs_of(given)
        with self.error('InvalidInput'):
            self.daemon.start_run('required', {'version': 'x'})

    def test_types_without_a_meaning(self):
        for value in (dbus.ObjectPath('/a'), dbus.Signature('s'), dbus.Struct(('a',)), dbus.Dictionary({1: 'x'}, signature='is'), float('nan'), float('inf')):
            with self.error(INVALID_ARGS):
                self.inputs_of({'map': value})

    def test_input_given_twice(self):
        p = self.daemon.tool('busctl', '--user', 'call', harness.NAME, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', 'types', '2', 'count', 'i', '1', 'count', 'i', '2', '0', check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('“count” is given twice', p.stderr)
        p = self.daemon.tool('busctl', '--user', 'call', harness.NAME, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', 'types', '0', '2', 'Comment', 's', 'a', 'Comment', 's', 'b', check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('“Comment” is given twice', p.stderr)

    def nested(self, depth):
        value = dbus.Array([], signature='v')
        for _ in range(depth - 1):
            value = dbus.Array([value], signature='v')
        return value

    def test_depth(self):
        """16 levels, of which the dictionary of inputs is the first."""
        got = self.inputs_of({'items': self.nested(15)})['items']
        depth = 1
        while got:
            got, depth = got[0], depth + 1
        self.assertEqual(depth, 15)
        with self.error('TooLarge'):
            self.inputs_of({'items': self.nested(16)})
        deep = '[' * 20 + ']' * 20
        got = self.inputs_of({'items': deep})['items']
        for _ in range(15):
            self.assertIsInstance(got, dbus.Array)
            got = got[0]
        self.assertEqual(got, '[' * 5 + ']' * 5)

    def test_size(self):
        self.assertEqual(len(self.inputs_of({'text': 'x' * 1000000})['text']), 1000000)
        with self.error('TooLarge'):
            self.inputs_of({'text': 'x' * (1024 * 1024)})
        with self.error('TooLarge'):
            self.inputs_of({'items': dbus.Array([dbus.Byte(1)] * 600000, signature='y')})

    # -- reads

    def test_list_runbooks(self):
        path = self.daemon.write_runbook('wrong', 'description: Kaputt\nphases: []\nfoo: 1\n')
        rows = {str(r[0]): r for r in self.daemon.manager('ListRunbooks')}
        os.unlink(path)
        self.assertEqual(rows['hello'][2], os.path.join(self.daemon.runbooks, 'hello.yaml'))
        self.assertEqual(rows['hello'][3], '')
        self.assertRegex(rows['wrong'][3], r'^\d+:\d+: ')

    def test_get_runbook(self):
        got = json.loads(self.daemon.manager('GetRunbook', 's', 'hello'))
        self.assertEqual(got['name'], 'hello')
        self.assertEqual(got['text'], HELLO)
        self.assertEqual(got['file'], os.path.join(self.daemon.runbooks, 'hello.yaml'))
        self.assertEqual(got['phases'][0]['activities'][0]['name'], 'greet')
        with self.error('NoSuchRunbook'):
            self.daemon.manager('GetRunbook', 's', 'nosuch')
        path = self.daemon.write_runbook('bad', 'phases: 7\n')
        with self.error('InvalidRunbook'):
            self.daemon.manager('GetRunbook', 's', 'bad')
        os.unlink(path)

    def list(self, **filter_):
        return self.daemon.manager('ListRuns', 'a{sv}', dbus.Dictionary(filter_, signature='sv'))

    def test_list_runs(self):
        runs = [self.daemon.start_run('hello') for _ in range(3)]
        for r in runs:
            r.wait_ended()
        asking = self.daemon.start_run('ask')
        asking.wait_state('on-hold')
        rows = self.list()
        self.assertEqual([int(r[0]) for r in rows[:4]], [asking.id] + [r.id for r in reversed(runs)])
        row = rows[1]
        self.assertEqual((row[1], row[2], row[7]), ('hello', 'success', runs[2].path))
        self.assertTrue(0 < row[4] <= row[5] <= row[6])
        self.assertEqual([int(r[0]) for r in self.list(Limit=dbus.UInt32(2))], [asking.id, runs[2].id])
        self.assertEqual([int(r[0]) for r in self.list(Before=dbus.UInt32(runs[2].id), Limit=dbus.UInt32(2))], [runs[1].id, runs[0].id])
        self.assertEqual({str(r[1]) for r in self.list(Runbook='ask')}, {'ask'})
        self.assertEqual(self.list(Runbook='nosuch'), [])
        self.assertEqual({str(r[2]) for r in self.list(States=['on-hold'])}, {'on-hold'})
        self.assertEqual({str(r[2]) for r in self.list(States=['on-hold', 'success'])}, {'on-hold', 'success'})
        asking.call('Cancel', 'a{sv}', {})

    def test_list_runs_errors(self):
        for filter_ in ({'States': ['nosuch']}, {'State': 'success'}, {'Limit': 'x'}, {'Limit': dbus.Int32(1)}, {'Comment': 'x'}):
            with self.error(INVALID_ARGS):
                self.list(**filter_)
        with self.error('TooLarge'):
            self.list(States=['success'] * 65)
        with self.error('TooLarge'):
            self.list(Runbook='x' * 257)

    def test_get_run(self):
        run = self.daemon.start_run('hello')
        self.assertEqual(self.daemon.manager('GetRun', 'u', run.id), run.path)
        for number in (0, 4294967295):
            with self.error('NoSuchRun'):
                self.daemon.manager('GetRun', 'u', number)

    def test_list_requests(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        row = next(r for r in self.daemon.manager('ListRequests') if r[0] == run.id)
        self.assertEqual(tuple(row)[:6], (run.id, run.activity_path('sign-off'), 'sign-off', 'approval', 'Go on?', 'Really?'))
        self.assertEqual((list(row[6]), row[7]), ([], 0))
        run.approve('sign-off')
        run.wait_ended()
        self.assertEqual([r for r in self.daemon.manager('ListRequests') if r[0] == run.id], [])

    def verify(self, text):
        return [tuple(d) for d in self.daemon.manager('Verify', 's', text)]

    def test_verify(self):
        self.assertEqual(self.verify(HELLO), [])
        self.assertEqual(self.verify('{"phases": [{"name": "p", "activities": [{"name": "a", "run": "true"}]}]}'), [])
        self.assertEqual(self.verify('{phases: [{name: p, activities: [{name: a, run: "true"}]}]}'), [])
        found = self.verify('phases:\n  - name: p\n    activitys: []\n')
        self.assertIn(('error', 3, 5), [d[:3] for d in found])
        self.assertTrue(any('activities' in d[3] for d in found))
        found = self.verify('{"phases": [}')
        self.assertEqual(found[0][:3], ('error', 1, 13))
        self.assertTrue(self.verify(''))
        warnings = self.verify('phases: [{name: p, activities: [{name: a, retries: {max: 10}, run: "false"}]}]')
        self.assertEqual({d[0] for d in warnings}, {'warning'})
        with self.error('TooLarge'):
            self.daemon.manager('Verify', 's', '#' * (1024 * 1024 + 1))

    # -- Reload, properties

    def test_reload(self):
        self.daemon.manager('Reload', 'a{sv}', {'Comment': 'try it'})
        self.assertIn('try it', self.daemon.log())
        with self.error(INVALID_ARGS):
            self.daemon.manager('Reload', 'a{sv}', {'X': 'try it'})

    def test_properties(self):
        properties = self.daemon.get_all(PATH, MANAGER)
        self.assertEqual(set(properties), {'Version', 'RunsActive', 'RunsOnHold', 'RunsDeadLetter'})
        self.assertRegex(properties['Version'], r'^\d+\.\d+')
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        self.assertEqual(self.daemon.get(PATH, MANAGER, 'RunsOnHold'), properties['RunsOnHold'] + 1)
        run.call('Cancel', 'a{sv}', {})
        run.wait_ended()
        self.assertEqual(self.daemon.get(PATH, MANAGER, 'RunsOnHold'), properties['RunsOnHold'])

    def test_absent_methods(self):
        """What this version does not do is not there."""
        for name in ('Prune', 'Foo'):
            with self.error('org.freedesktop.DBus.Error.UnknownMethod'):
                self.daemon.manager(name, 'a{sv}', {})

    def test_unknown_object(self):
        with self.error(UNKNOWN_OBJECT):
            self.daemon.call(PATH + '/x', MANAGER, 'ListRunbooks')


if __name__ == '__main__':
    harness.main()
