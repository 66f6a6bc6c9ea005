"""What is printed where output is no terminal: compared to the letter with golden files; and the JSON shapes of section 11 of the contract."""

import json
import re

from cli_harness import ESCAPE, TestCase, main
from fake_daemon import HOSTILE, SEC, T0


def squeezed(text):
    """Without what the clock of now does to a table: times of what still runs, and the width of their column."""
    return re.sub(r' +', ' ', re.sub(r'\d+y( \d+[a-z]+)*', 'AGES', text))


class Golden(TestCase):
    def test_list(self):
        self.golden('list', squeezed(self.ok()))
        self.assertEqual(self.ok(), self.ok('list'))

    def test_list_without_legend(self):
        text = self.ok('--no-legend', 'list')
        self.assertEqual(len(text.splitlines()), 4)
        self.assertNotIn('RUNBOOK', text)

    def test_list_limited(self):
        text = self.ok('list', '-n', '2', '--no-legend')
        self.assertEqual([line.split()[0] for line in text.splitlines()], ['4', '3'])
        self.assertEqual(self.ok('list', '-n0', '--no-legend'), '')

    def test_status_of_a_run_that_ended(self):
        self.golden('status-success', self.ok('status', '1'))

    def test_status_of_a_run_on_hold(self):
        text = self.ok('status', '2')
        self.golden('status-on-hold', squeezed(text))
        self.assertIn('runbookctl --user approve 2/qa', text)

    def test_status_of_a_failed_run_shows_the_log(self):
        text = self.ok('status', '4')
        self.golden('status-failed', text)
        self.assertIn('line 500', text)
        self.assertNotIn('line 490\n', text)
        self.assertIn('line 498', self.ok('status', '4', '-n', '3'))
        self.assertNotIn('line 497', self.ok('status', '4', '-n', '3'))
        self.assertNotIn('line 500', self.ok('status', '4', '-n', '0'))

    def test_status_of_an_activity(self):
        self.golden('status-activity', self.ok('status', '1/dist'))

    def test_status_of_the_daemon(self):
        self.golden('status', squeezed(self.ok('status')))

    def test_show(self):
        self.golden('show-run', self.ok('show', '1'))
        self.golden('show-activity', self.ok('show', '2/qa'))
        self.golden('show-daemon', self.ok('show'))
        self.assertEqual(self.ok('show', '1', '-p', 'State', '-pRunbook', '--value'), 'success\nship\n')
        self.assertIn('Colour', self.fails(1, 'show', '1', '-p', 'Colour'))

    def test_runbooks(self):
        self.golden('runbooks', self.ok('runbooks'))

    def test_cat_gives_the_bytes(self):
        self.assertEqual(self.ok('cat', 'ship'), '# a comment\nphases:\n  - name: build\n    \x1b[31mred\n')

    def test_history(self):
        self.golden('history', self.ok('history', '1'))
        self.assertEqual(len(self.ok('history', '1', '-n', '3', '--no-legend').splitlines()), 3)

    def test_inbox(self):
        self.golden('inbox', self.ok('inbox', '--all'))


class Actions(TestCase):
    def test_answers(self):
        self.fake.calls()
        self.assertEqual(self.ok('approve', '2/qa', '-i', 'note=7', '-i', 'level=7', '-m', 'fine'), 'Approved 2/qa.\n')
        self.assertEqual(self.fake.calls('Approve')[0]['args'], [{'Comment': 'fine', 'Fields': {'note': '7', 'level': 7}}])
        self.assertEqual(self.ok('-q', 'reject', '2/qa'), '')
        self.assertEqual(self.fake.calls('Reject')[0]['args'], [{}])

    def test_cancel_and_reload(self):
        self.fake.calls()
        self.assertEqual(self.ok('cancel', '2', '-m', 'not now'), 'Run 2 is being cancelled.\n')
        self.assertEqual(self.ok('reload', '--quiet'), '')
        self.assertEqual([(c['member'], c['args']) for c in self.fake.calls() if c['member'] != 'GetRun'], [('Cancel', [{'Comment': 'not now'}]), ('Reload', [{}])])

    def test_start(self):
        self.fake.calls()
        self.assertRegex(self.ok('start', 'ship', '-i', 'version=3', '-i', 'count=3', '-i', 'ratio=0.5', '-i', 'force=true', '-i', 'channel=beta', '-i', 'parts=["a", 1]',
                                 '-i', 'map={"k": {"l": [true]}}', '--strict', '--label', 'team=web', '--label=a=b=c'),
                         r'^Started run \d+ \(ship\). Follow it with: runbookctl --user watch \d+\n$')
        call = self.fake.calls('StartRun')[0]
        self.assertEqual(call['args'], ['ship', {'version': '3', 'count': 3, 'ratio': 0.5, 'force': True, 'channel': 'beta', 'parts': ['a', 1], 'map': {'k': {'l': [True]}}},
                                        {'Strict': True, 'Labels': {'team': 'web', 'a': 'b=c'}}])


class Inputs(TestCase):
    def start(self, *args, **kwargs):
        self.fake.calls()
        self.ok('start', 'ship', *args, **kwargs)
        return self.fake.calls('StartRun')[0]['args'][1]

    def file(self, name, text):
        path = '%s/%s' % (self.fake.scratch, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return path

    def test_yaml_and_json_files(self):
        want = {'version': '1.0', 'count': 2, 'parts': ['x']}
        self.assertEqual(self.start('-I', self.file('in.yaml', 'version: "1.0"\ncount: 2\nparts: [x]\n')), want)
        self.assertEqual(self.start('-I', self.file('in.json', '{"version": "1.0", "count": 2, "parts": ["x"]}')), want)
        self.assertEqual(self.start('-I', '-', stdin=b'version: "1.0"\ncount: 2\nparts: [x]\n'), want)

    def test_words_win_over_the_file(self):
        self.assertEqual(self.start('-I', self.file('in.yaml', 'version: a\ncount: 1\n'), '-i', 'version=b'), {'version': 'b', 'count': 1})

    def test_a_text_stays_a_text(self):
        self.assertEqual(self.start('-i', 'version=true', '-i', 'channel=7', '-i', 'unknown=1'), {'version': 'true', 'channel': '7', 'unknown': '1'})
        self.assertEqual(self.start('-i', 'version='), {'version': ''})

    def test_wrong_values(self):
        self.assertIn('"count" wants a value of type integer, written as JSON, for example count=3.', self.fails(1, 'start', 'ship', '-i', 'count=three'))
        self.assertIn('in.yaml:2:1: ', self.fails(1, 'start', 'ship', '-I', self.file('in.yaml', 'a: [\n')))
        self.assertIn('must hold one object', self.fails(1, 'start', 'ship', '-I', self.file('in.yaml', '- a\n')))
        self.assertIn('null is no value', self.fails(1, 'start', 'ship', '-I', self.file('in.yaml', 'version: null\n')))
        self.assertIn("can't be read", self.fails(1, 'start', 'ship', '-I', '/nonexistent'))
        self.assertIn('NAME=VALUE', self.fails(64, 'start', 'ship', '-i', 'version'))
        self.assertIn('NAME=VALUE', self.fails(64, 'start', 'ship', '-i', '=x'))


class Json(TestCase):
    def json(self, *args):
        short, pretty = self.ok('--json=short', *args), self.ok('--json=pretty', *args)
        self.assertEqual(short.count('\n'), 1)
        self.assertGreater(pretty.count('\n'), 1)
        self.assertEqual(json.loads(short), json.loads(pretty))
        self.assertEqual(self.ok('--json=off', *args), self.ok(*args))
        return json.loads(short)

    def test_list(self):
        runs = self.json('list')
        self.assertEqual([r['id'] for r in runs][-4:], [4, 3, 2, 1])
        self.assertEqual(runs[-1], {'id': 1, 'runbook': 'ship', 'state': 'success', 'statusText': 'success', 'createdAt': T0, 'startedAt': T0 + SEC,
                                   'finishedAt': T0 + 6500000, 'path': '/org/runbookd1/run/1'})
        self.assertEqual(runs[-2]['finishedAt'], 0)        # never, as on the bus

    def test_inbox(self):
        request = [q for q in self.json('inbox', '--all') if q['run'] == 2][0]
        self.assertEqual(request, {'run': 2, 'activity': 'qa', 'path': '/org/runbookd1/run/2/activity/qa', 'kind': 'approval', 'title': 'Deploy?',
                                   'message': 'Deploy 1.2 to web?\nThink twice.', 'approvers': ['group:qa', 'alice'], 'deadline': T0 + 86400 * SEC,
                                   'commands': ['runbookctl --user approve 2/qa', 'runbookctl --user reject 2/qa -m WHY']})
        self.assertEqual([q for q in self.json('inbox', '--all') if q['run'] == 3][0]['deadline'], 0)

    def test_status(self):
        run = self.json('status', '1')
        for key in ('id', 'runbook', 'state', 'statusText', 'hadErrors', 'pendingRequests', 'inputs', 'startedBy', 'replayOf', 'phases', 'activities'):
            self.assertIn(key, run)
        self.assertEqual(run['inputs']['parts'], ['a', 'b'])
        self.assertEqual(self.json('status', '1/dist')['name'], 'dist')

    def test_status_of_the_daemon(self):
        overview = self.json('status')
        self.assertEqual((overview['version'], overview['runsOnHold'], [r['id'] for r in overview['runs']][-2:], len(overview['requests'])), ('9.9.9', 2, [3, 2], 2))
        self.assertEqual(list(overview), ['version', 'runsActive', 'runsOnHold', 'runsDeadLetter', 'runs', 'requests'])

    def test_history(self):
        events = self.json('history', '1')
        self.assertEqual([e['seq'] for e in events], list(range(1, len(events) + 1)))
        for e in events:
            self.assertEqual(list(e), ['seq', 'at', 'type', 'activity', 'attempt', 'step', 'uid', 'user', 'data'])
        self.assertEqual(events[0], {'seq': 1, 'at': T0, 'type': 'run-created', 'activity': None, 'attempt': None, 'step': None, 'uid': 1000, 'user': 'alice', 'data': {'runbook': 'ship'}})
        self.assertIsNone(events[1]['uid'])
        self.assertEqual([(e['activity'], e['attempt'], e['step'], e['data']['state']) for e in events if e['type'] == 'step-finished'][0], ('dist', 1, 'step-1', 'success'))

    def test_start(self):
        started = json.loads(self.ok('--json=short', 'start', 'ship'))
        self.assertEqual(started, {'id': self.fake.last(), 'path': '/org/runbookd1/run/%d' % self.fake.last()})

    def test_show_runbooks_cat(self):
        self.assertEqual(self.json('show', '1')['StartedAt'], T0 + SEC)
        self.assertEqual(json.loads(self.ok('--json=short', 'show', '1', '-p', 'State')), {'State': 'success'})
        self.assertEqual(self.json('runbooks')[1], {'name': 'wrong', 'description': None, 'file': '/etc/runbookd/runbooks/wrong.yaml', 'error': '3:5: a phase needs "activities"'})
        self.assertEqual(self.json('cat', 'ship')['name'], 'ship')

    def test_acting_verbs_say_nothing(self):
        for args in (('approve', '2/qa'), ('reject', '2/qa'), ('cancel', '1'), ('reload',)):
            self.assertEqual(self.ok('--json=short', *args), '')

    def test_verbs_without_json_refuse_it(self):
        self.assertIn('no JSON form', self.fails(64, '--json=short', 'logs', '1'))
        self.assertIn('no JSON form', self.fails(64, '--json=short', 'start', 'ship', '--follow'))

    def test_controls_are_escaped(self):
        p = self.fake.ctl('--json=short', 'status', '3')
        for c in b'\x1b\x7f\x07\r':
            self.assertNotIn(bytes([c]), p.stdout)
        self.assertNotIn('\x9b'.encode(), p.stdout)
        self.assertEqual(json.loads(p.stdout)['reason'], HOSTILE)


class Hostile(TestCase):
    """Text from people and steps drives no terminal: no control character but newline leaves, whoever wrote it and wherever it is shown."""

    def test_nothing_gets_out(self):
        for args in (('list',), ('status', '3'), ('status', '3/a'), ('status',), ('history', '3'), ('inbox', '--all'), ('show', '3'), ('show', '3/b'), ('logs', '3')):
            with self.subTest(args=args):
                text = self.fake.ctl(*args).stdout.decode()
                self.assertIn('evil', text)
                for c in text:
                    self.assertTrue(c == '\n' or (c >= ' ' and not '\x7f' <= c <= '\x9f' and c != '\u202e'), 'U+%04X in %r' % (ord(c), text))

    def test_errors_are_clean_too(self):
        self.fake.refuse('ListRuns', 'org.runbookd1.Error.StorageUnavailable', HOSTILE)
        text = self.fails(1, 'list')
        self.assertNotIn(ESCAPE, text)
        self.assertIn('evil', text)

    def test_and_arguments(self):
        for args in ((HOSTILE,), ('--' + HOSTILE,), ('status', HOSTILE), ('help', HOSTILE), ('list', '-n', HOSTILE), ('logs', '1/' + HOSTILE), ('verify', HOSTILE + '.yaml'), ('start', HOSTILE)):
            with self.subTest(args=args):
                p = self.fake.ctl(*args)
                self.assertNotEqual(p.returncode, 0)
                self.assertNotIn(ESCAPE.encode(), p.stdout + p.stderr)

    def test_raw_log_of_one_step_is_raw_where_it_is_no_terminal(self):
        p = self.fake.ctl('logs', '3/a/step-1')
        self.assertEqual(p.stdout, HOSTILE.encode() + b' \xff\xfe \x00 end\n')


class Locale(TestCase):
    def test_ascii_locale(self):
        for args in (('list',), ('status', '1'), ('status', '2'), ('history', '1'), ('runbooks',), ('--help',)):
            with self.subTest(args=args):
                p = self.fake.ctl(*args, LC_ALL='C')
                self.assertEqual(p.returncode, 0)
                self.assertTrue(p.stdout.decode('ascii'))
        self.golden('status-ascii', self.fake.ctl('status', '1', LC_ALL='C').stdout.decode('ascii'))

    def test_json_is_utf8_in_every_locale(self):
        p = self.fake.ctl('--json=short', 'status', '3', LC_ALL='C')
        self.assertEqual(json.loads(p.stdout.decode('utf-8'))['reason'], HOSTILE)


class Paging(TestCase):
    def test_more_runs_than_a_page(self):
        self.fake.test('AddRuns', 'u', 120)
        self.assertEqual([r['id'] for r in json.loads(self.ok('--json=short', 'list', '-n', 'all'))], list(range(124, 0, -1)))
        self.assertEqual(len(json.loads(self.ok('--json=short', 'list'))), 50)
        self.assertIn('The newest 50 runs.', self.ok('list'))
        self.assertEqual(len(json.loads(self.ok('--json=short', 'list', '-n', '60'))), 60)
        self.assertIn('0 runs listed.', self.ok('list', '-n', '0'))


if __name__ == '__main__':
    main()
