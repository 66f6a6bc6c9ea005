"""Every failure has a way on: what is shown of failures, holds, times to come and runs that are done again, and what the commands send."""

import datetime
import json
import os
import re
import signal
import time

from cli_harness import ESCAPE, TestCase, main, wait_until
from fake_daemon import (CANCELLED, CANCELLING, DLQ, EXHAUSTED, FULL, FUTURE, HELD, HOSTILE, ONE_HELD, PAUSED, QUEUED, REPLAYED, SCHEDULED, SEC, T0, TURN, WAITING_INPUT)
from test_output import squeezed

RUN_PATH = '/org/runbookd1/run/%d'


class Base(TestCase):
    def setUp(self):
        self.fake.auto()
        self.fake.test('Stage')
        self.fake.calls()

    def sent(self, member, *args, **kwargs):
        """Runs it; what it printed, and the one call of that member: its path, then its arguments."""
        self.fake.calls()
        text = self.ok(*args, **kwargs)
        call, = self.fake.calls(member)
        return text, call['path'], call['args']

    def number(self, text):
        return text.replace(str(self.fake.last()), 'N')


class Decisions(Base):
    """retry, ignore, abort (S0.14, S0.20, S2.3)."""

    def test_what_they_send(self):
        path = RUN_PATH % HELD + '/activity/roll'
        self.assertEqual(self.sent('Retry', 'retry', '%d/roll' % HELD), ('%d/roll: a new attempt begins. Watch it with: runbookctl --user watch %d\n' % (HELD, HELD), path, [{}]))
        self.assertEqual(self.sent('Retry', 'retry', '%d/roll' % HELD, '-i', 'version=1.3', '-i', 'count=3', '--reload', '-m', 'disk was full')[2],
                         [{'Comment': 'disk was full', 'Reload': True, 'Inputs': {'version': '1.3', 'count': '3'}}])     # texts: the daemon knows the types
        text, _, args = self.sent('Ignore', 'ignore', '%d/roll' % HELD, '--output', 'n=7', '--output=list=["a"]', '--output', 'text=not json', '--output', 's="7"', '-m', 'known')
        self.assertEqual((text, args), ('%d/roll: ignored; what needs it goes on. Watch it with: runbookctl --user watch %d\n' % (HELD, HELD),
                                        [{'Comment': 'known', 'Outputs': {'n': 7, 'list': ['a'], 'text': 'not json', 's': '7'}}]))
        text, _, args = self.sent('Abort', 'abort', '%d/roll' % HELD, '-m', 'hopeless')
        self.assertEqual((text, args), ('%d/roll: aborted; it has failed for good. Watch it with: runbookctl --user watch %d\n' % (HELD, HELD), [{'Comment': 'hopeless'}]))

    def test_inputs_from_a_file(self):
        path = os.path.join(self.fake.scratch, 'inputs.yaml')
        with open(path, 'w', encoding='ascii') as f:
            f.write('version: "1.3"\ncount: 3\nparts: [a]\n')
        self.assertEqual(self.sent('Retry', 'retry', '%d/roll' % HELD, '-I', path, '-i', 'version=1.4')[2], [{'Inputs': {'version': '1.4', 'count': 3, 'parts': ['a']}}])

    def test_the_one_that_waits_need_not_be_named(self):
        for verb, member in (('retry', 'Retry'), ('ignore', 'Ignore'), ('abort', 'Abort')):
            text, path, _ = self.sent(member, verb, str(ONE_HELD))
            self.assertEqual((path, text.split(':')[0]), (RUN_PATH % ONE_HELD + '/activity/only', '%d/only' % ONE_HELD))

    def test_more_or_none_that_wait(self):
        self.assertEqual(self.fails(64, 'retry', str(HELD)), 'Which activity? 2 wait for a decision: %d/roll, %d/check\n' % (HELD, HELD))
        self.assertIn('No activity of run 1 waits for a decision.', self.fails(1, 'ignore', '1'))
        self.assertIn('No activity of run 2 waits for a decision.', self.fails(1, 'abort', '2'))        # what waits there is an approval
        self.assertEqual(self.fake.calls('Retry') + self.fake.calls('Ignore') + self.fake.calls('Abort'), [])

    def test_quiet_and_json_say_nothing(self):
        for option in ('-q', '--json=short'):
            for verb in ('retry', 'ignore', 'abort'):
                self.assertEqual(self.ok(option, verb, str(ONE_HELD)), '')

    def test_refusals_are_printed(self):
        self.assertEqual(self.fails(1, 'retry', '1/dist'), 'dist waits for no decision.\n')
        self.assertIn('Did you mean "roll"?', self.fails(1, 'retry', '%d/rol' % HELD))
        self.assertIn('null is no value', self.fails(1, 'ignore', str(ONE_HELD), '--output', 'a=null'))

    def test_usage(self):
        for args in (('retry',), ('retry', 'x'), ('retry', '1/a/b'), ('retry', '1', '2'), ('retry', '1', '--output', 'a=b'), ('ignore', '1', '--output', 'a'), ('ignore', '1', '--reload'),
                     ('ignore', '1', '-i', 'a=b'), ('abort', '1', '-i', 'a=b'), ('abort', '1', '--output', 'a=b'), ('retry', '1', '-i', 'a'), ('retry', '1', '-i', '=b')):
            with self.subTest(args=args):
                self.assertNotEqual(self.fails(64, *args), '')


class Runs(Base):
    """pause, resume, start-now, reschedule, set-input (S0.14, S1.4, S1.5)."""

    def test_pause_resume_start_now(self):
        for verb, member, run, words in (('pause', 'Pause', 2, 'paused; what runs comes to its end, nothing new starts.'), ('resume', 'Resume', PAUSED, 'it goes on.'),
                                         ('start-now', 'StartNow', SCHEDULED, 'it starts now.')):
            self.assertEqual(self.sent(member, verb, str(run), '-m', 'because'), ('Run %d: %s Watch it with: runbookctl --user watch %d\n' % (run, words, run), RUN_PATH % run,
                                                                                  [{'Comment': 'because'}]))
            self.assertEqual(self.ok('-q', verb, str(run)) + self.ok('--json=short', verb, str(run)), '')
            self.fails(64, verb)
            self.fails(64, verb, '%d/x' % run)
            self.fails(64, verb, str(run), '--reload')
            self.assertIn('There is no run 99.', self.fails(1, verb, '99'))

    def test_set_input(self):
        text, path, args = self.sent('SetInputs', 'set-input', '2', 'version=1.3', 'text=a=b', 'empty=', '-m', 'typing error')
        self.assertEqual((text, path), ('Run 2: 3 inputs changed. Watch it with: runbookctl --user watch 2\n', RUN_PATH % 2))
        self.assertEqual(args, [{'version': '1.3', 'text': 'a=b', 'empty': ''}, {'Comment': 'typing error'}])
        self.assertIn('Run 2: 1 input changed.', self.ok('set-input', '2', 'count=3'))
        for args in (('set-input',), ('set-input', '2'), ('set-input', '2', 'x'), ('set-input', '2', '=x'), ('set-input', '2/qa', 'a=b'), ('set-input', 'a=b', '2')):
            with self.subTest(args=args):
                self.assertNotEqual(self.fails(64, *args), '')

    def test_reschedule(self):
        text, path, args = self.sent('Reschedule', 'reschedule', str(SCHEDULED), '2100-11-23 14:00')
        when = int(datetime.datetime(2100, 11, 23, 14, tzinfo=datetime.timezone.utc).timestamp()) * SEC
        self.assertEqual((text, path, args), ('Run %d: it starts at 2100-11-23 14:00:00. Watch it with: runbookctl --user watch %d\n' % (SCHEDULED, SCHEDULED), RUN_PATH % SCHEDULED, [when, {}]))
        self.assertEqual(self.sent('Reschedule', 'reschedule', str(SCHEDULED), '@4102444800', '-m', 'later')[2], [FUTURE, {'Comment': 'later'}])
        self.assertEqual(self.sent('Reschedule', 'reschedule', str(SCHEDULED), '2100-11-23 14:00 UTC', TZ='XXX-5')[2], [when, {}])
        self.assertEqual(self.sent('Reschedule', 'reschedule', str(SCHEDULED), '2100-11-23 14:00', TZ='XXX-5')[2], [when - 5 * 3600 * SEC, {}])
        before = time.time() * SEC
        at = self.sent('Reschedule', 'reschedule', str(SCHEDULED), '+2h')[2][0]
        self.assertTrue(before + 7200 * SEC <= at <= time.time() * SEC + 7200 * SEC, at)

    def test_a_moment_that_is_now_is_no_date(self):
        text, _, args = self.sent('StartNow', 'reschedule', str(SCHEDULED), 'now')
        self.assertIn('it starts now.', text)
        self.assertEqual(args, [{}])
        self.assertEqual(self.fake.calls('Reschedule'), [])

    def test_a_wrong_time(self):
        for text in ('soon', '', '25:00', '2026-13-01', 'tomorrow noon'):
            self.assertIn('is no time', self.fails(64, 'reschedule', str(SCHEDULED), text))
            self.assertIn('is no value for --at', self.fails(64, 'start', 'ship', '--at', text))
        self.fake.refuse('Reschedule', 'org.freedesktop.DBus.Error.InvalidArgs', 'That time is past.')
        self.assertEqual(self.fails(1, 'reschedule', str(SCHEDULED), '2001-01-01'), 'That time is past.\n')

    def test_start_at_and_only(self):
        text, _, args = self.sent('StartRun', 'start', 'ship', '--at', '2100-01-01 00:00', '--only', 'build,sign-off', '--only=late')
        self.assertEqual(args, ['ship', {}, {'StartAt': FUTURE, 'Only': ['build', 'sign-off', 'late']}])
        self.assertEqual(self.number(text), 'Run N (ship) starts at 2100-01-01 00:00:00. Follow it with: runbookctl --user watch N\n')
        self.assertEqual(self.sent('StartRun', 'start', 'ship', '--at', 'now')[2], ['ship', {}, {}])
        self.assertEqual(self.sent('StartRun', 'start', 'ship', '--at', '@0')[2], ['ship', {}, {'StartAt': 1}])         # long past, and never "at once"
        self.fake.refuse('StartRun', 'org.freedesktop.DBus.Error.InvalidArgs', 'That time is past.')
        self.assertEqual(self.fails(1, 'start', 'ship', '--at', '2001-01-01'), 'That time is past.\n')


class Again(Base):
    """replay and rerun (S2.2, S2.5, S2.9, S2.10)."""

    def test_what_they_send(self):
        text, path, args = self.sent('Replay', 'replay', '4')
        self.assertEqual((self.number(text), path, args), ('Run N (broken) replays run 4. Follow it with: runbookctl --user watch N\n', RUN_PATH % 4, [{}]))
        self.assertEqual(self.sent('Replay', 'replay', '4', '--from', 'only', '--all-parallel', '-i', 'version=2', '--reload', '--fresh-workspace', '-m', 'fixed')[2],
                         [{'Comment': 'fixed', 'From': 'only', 'AllParallel': True, 'Reload': True, 'FreshWorkspace': True, 'Inputs': {'version': '2'}}])
        text, path, args = self.sent('Rerun', 'rerun', '1', '--only', 'publish', '-i', 'version=2', '--reload', '-m', 'again')
        self.assertEqual((self.number(text), path, args), ('Run N (ship) is run 1 once more. Follow it with: runbookctl --user watch N\n', RUN_PATH % 1,
                                                          [{'Comment': 'again', 'Only': ['publish'], 'Reload': True, 'Inputs': {'version': '2'}}]))

    def test_json_and_quiet(self):
        for args in (('replay', '4'), ('rerun', '4')):
            self.assertEqual(json.loads(self.ok('--json=short', *args)), {'id': self.fake.last(), 'path': RUN_PATH % self.fake.last()})
            self.assertEqual(self.ok('-q', *args), '')

    def test_wait_and_follow(self):
        """Exit statuses: 0, 2, 3 with --no-input, 1."""
        for verb in ('replay', 'rerun'):
            for state, status in (('success', 0), ('partial-success', 2), ('failed', 1), ('exhausted', 1), ('dlq', 1), ('cancelled', 1)):
                self.fake.auto(['end', state])
                p = self.fake.ctl(verb, '4', '--wait')
                self.assertEqual((p.returncode, p.stdout.decode()), (status, 'Run %d (broken) ended: %s\n' % (self.fake.last(), state)))
                p = self.fake.ctl(verb, '4', '--follow')
                self.assertEqual(p.returncode, status)
                self.assertIn('ended: ' + state, p.stdout.decode())
            self.fake.auto(['work'], ['held'])
            for how in ('--wait', '--follow'):
                self.assertIn('waits for a person', self.fails(3, verb, '4', how, '--no-input'))

    def test_cancel_on_exit(self):
        before = self.fake.last()
        p = self.fake.popen('replay', '4', '--wait', '--cancel-on-exit', '-m', 'why')
        self.addCleanup(p.kill)
        run = wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')
        wait_until(lambda: [c for c in self.fake.calls('Get') if c['path'] == RUN_PATH % run], 'the first look')
        p.send_signal(signal.SIGTERM)
        out, _ = p.communicate()
        self.assertIn('ended: cancelled', out)
        self.assertEqual([c['args'] for c in self.fake.calls('Cancel')], [[{}]])        # the message is about the replay

    def test_refusals_and_usage(self):
        self.fake.refuse('Replay', 'org.runbookd1.Error.TooOld', 'Run 4 is too old for a replay.')
        self.assertEqual(self.fails(1, 'replay', '4'), 'Run 4 is too old for a replay.\n')
        for args in (('replay',), ('replay', '4/work'), ('replay', '4', '--only', 'x'), ('rerun', '4', '--from', 'x'), ('rerun', '4', '--fresh-workspace'), ('replay', '4', '--all-parallel'),
                     ('replay', '4', '--cancel-on-exit'), ('replay', '4', '--follow', '--wait'), ('rerun', '4', '--only', ''), ('replay', '4', '--from', ''), ('replay', '4', '--at', 'now')):
            with self.subTest(args=args):
                self.assertNotEqual(self.fails(64, *args), '')
        self.assertIn('no JSON form', self.fails(64, '--json=short', 'replay', '4', '--follow'))
        self.assertIn('"replay --follow"', self.fails(64, '--json=short', 'replay', '4', '--follow'))


class Shown(Base):
    """What is printed, to the letter."""

    def test_status(self):
        for name, run in (('held', HELD), ('scheduled', SCHEDULED), ('paused', PAUSED), ('queued', QUEUED), ('exhausted', EXHAUSTED), ('dlq', DLQ), ('replayed', REPLAYED),
                          ('waiting-input', WAITING_INPUT)):
            self.golden('status-' + name, squeezed(self.ok('status', str(run))))
        self.golden('status-held-activity', squeezed(self.ok('status', '%d/roll' % HELD)))

    def test_status_of_a_rerun(self):
        self.assertNotIn('Rerun of:', self.ok('status', str(REPLAYED)))
        self.fake.test('Set', 'us', REPLAYED, json.dumps({'trigger': 'rerun', 'rootRun': 4}))
        self.assertIn('Rerun of: run 4\n', self.ok('status', str(REPLAYED)))

    def test_quiet_status_has_no_commands(self):
        for run in (HELD, SCHEDULED, PAUSED, QUEUED, EXHAUSTED, DLQ):
            self.assertNotIn('runbookctl', self.ok('-q', 'status', str(run)))

    def test_commands_reach_the_same_daemon(self):
        self.assertIn('runbookctl --user retry %d/only' % ONE_HELD, self.ok('status', str(ONE_HELD)))
        self.assertIn('runbookctl retry %d/only\n' % ONE_HELD, self.ok('status', str(ONE_HELD), user=False, DBUS_SYSTEM_BUS_ADDRESS=self.fake.bus.address))

    def test_who_may_not_see_the_request_sees_the_error(self):
        self.fake.refuse('GetRequest', 'org.freedesktop.DBus.Error.AccessDenied', 'No.')
        text = self.ok('status', str(ONE_HELD))
        self.assertIn('only (decision): exited with status 1 (EXIT)', text)
        self.assertIn('retry %d/only' % ONE_HELD, text)

    def test_list(self):
        self.golden('list-failures', squeezed(self.ok('list')))

    def test_history(self):
        for name, run in (('held', HELD), ('scheduled', SCHEDULED), ('paused', PAUSED), ('exhausted', EXHAUSTED), ('replayed', REPLAYED), ('cancelled', CANCELLED)):
            self.golden('history-' + name, self.ok('history', str(run)))

    def test_every_event_has_words(self):
        """The types that the daemon knows, read from its source."""
        source = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'src')
        with open(os.path.join(source, 'model', 'event.h'), encoding='utf-8') as f:
            types = {t.lower().replace('_', '-') for t in re.findall(r'(?m)^ +EVENT_([A-Z_]+),', f.read()) if not t.startswith('TYPE')}
        with open(os.path.join(source, 'ctl', 'history.c'), encoding='utf-8') as f:
            known = set(re.findall(r'\{"([a-z-]+)", N_\(', f.read()))
        self.assertGreater(len(types), 25)
        self.assertEqual(types - known, set())

    def test_inbox(self):
        self.golden('inbox-failures', self.ok('inbox', '--all'))

    def test_dead_letters(self):
        self.golden('dead-letters', self.ok('dead-letters'))
        self.assertEqual(self.ok('--no-legend', 'dead-letters').count('\n'), 2)
        self.assertNotIn('runbookctl', self.ok('-q', 'dead-letters'))
        letters = json.loads(self.ok('--json=short', 'dead-letters'))
        self.assertEqual([(r['id'], r['state'], r['reason'], r['finishedAt']) for r in letters],
                         [(DLQ, 'dlq', 'work was interrupted more than 3 times', T0 + 9 * SEC), (EXHAUSTED, 'exhausted', 'phase go failed', T0 + 9 * SEC)])
        self.assertEqual(len(json.loads(self.ok('--json=short', 'dead-letters', '-n', '1'))), 1)

    def test_dead_letters_without_the_right_to_read(self):
        self.fake.refuse('Describe', 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired', 'No.')
        self.assertIsNone(json.loads(self.ok('--json=short', 'dead-letters', '-n', '1'))[0]['reason'])

    def test_no_dead_letters(self):
        for run in (EXHAUSTED, DLQ):
            self.fake.test('Set', 'us', run, json.dumps({'state': 'cancelled'}))
        self.assertIn('There are no dead letters.', self.ok('dead-letters'))
        self.fake.test('Set', 'us', EXHAUSTED, json.dumps({'state': 'exhausted'}))
        text = self.ok('dead-letters')
        self.assertIn('1 run. Do again what failed:', text)
        self.assertNotIn('cancel', text)

    def test_hostile_text(self):
        self.fake.test('Set', 'us', DLQ, json.dumps({'reason': HOSTILE, 'runbook': HOSTILE}))
        for args in (('dead-letters',), ('explain', str(DLQ)), ('status', str(DLQ)), ('explain', '3')):
            text = self.fake.ctl(*args).stdout.decode()
            self.assertIn('evil', text)
            self.assertTrue(all(c == '\n' or (c >= ' ' and not '\x7f' <= c <= '\x9f' and c != '\u202e') for c in text), text)


class Explain(Base):
    def test_golden(self):
        for name, run in (('held', HELD), ('scheduled', SCHEDULED), ('paused', PAUSED), ('queued', QUEUED), ('exhausted', EXHAUSTED), ('dlq', DLQ), ('success', REPLAYED), ('full', FULL),
                          ('cancelling', CANCELLING), ('cancelled', CANCELLED), ('waiting-input', WAITING_INPUT), ('turn', TURN), ('approval', 2), ('failed', 4)):
            self.golden('explain-' + name, squeezed(self.unwrapped(self.ok('explain', str(run)))))

    @staticmethod
    def unwrapped(text):
        """The paragraph as one line, for its breaks move with the time that has gone by."""
        paragraph, _, commands = text.partition('\n\n')
        return paragraph.replace('\n', ' ').rstrip() + ('\n\n' + commands if commands else '\n')

    def test_width(self):
        for line in self.ok('explain', str(HELD)).splitlines():
            self.assertLessEqual(len(line), 80)

    def test_quiet_has_no_commands(self):
        self.assertNotIn('runbookctl', self.ok('-q', 'explain', str(HELD)))

    def test_json(self):
        entries = json.loads(self.ok('--json=short', 'explain', str(HELD)))
        for e in entries:
            self.assertEqual(list(e), ['waitsFor', 'activity', 'since', 'who', 'commands', 'text'])
            self.assertTrue(e['text'])
        self.assertEqual([(e['waitsFor'], e['activity'], e['since'], e['who']) for e in entries],
                         [('decision', 'roll', T0, []), ('decision', 'check', T0, ['group:ops', 'alice']), ('backoff', 'notes', T0 + 3 * SEC, None)])
        self.assertEqual(entries[0]['commands'], ['runbookctl --user retry %d/roll' % HELD, 'runbookctl --user ignore %d/roll -m WHY' % HELD, 'runbookctl --user abort %d/roll -m WHY' % HELD])
        self.assertEqual(entries[2]['commands'], [])

    def test_what_each_waits_for(self):
        for run, waits_for, since in ((1, None, T0 + 6500000), (SCHEDULED, 'scheduled', T0), (PAUSED, 'paused', T0 + 3 * SEC), (QUEUED, 'run-retry', T0 + 2 * SEC), (FULL, 'slot', 0),
                                      (CANCELLING, 'cancel', T0 + 2 * SEC), (WAITING_INPUT, 'input', T0), (TURN, 'turn', T0), (2, 'approval', T0), (DLQ, None, T0 + 9 * SEC)):
            entry = json.loads(self.ok('--json=short', 'explain', str(run)))[0]
            self.assertEqual((entry['waitsFor'], entry['since']), (waits_for, since))

    def explained(self, run):
        return json.loads(self.ok('--json=short', 'explain', str(run)))

    def test_many_without_a_place(self):
        """Beside what runs; not while the run is paused."""
        running = dict(name='now', phase='go', state='running', attempts=[{'number': 1, 'state': 'running', 'startedAt': T0, 'finishedAt': 0, 'steps': []}], waitingFor=None, nextRetryAt=0)
        crowd = [running] + [dict(running, name='a%d' % i, state='pending', attempts=[], waitsForSlot=True) for i in range(3)]
        self.fake.test('Set', 'us', FULL, json.dumps({'activities': crowd}))
        self.assertEqual([(e['waitsFor'], e['activity']) for e in self.explained(FULL)], [('step', 'now'), ('slot', 'a0')])
        self.assertIn('Activity a0 and 2 more wait for a free place', ' '.join(self.ok('explain', str(FULL)).split()))
        self.fake.test('Set', 'us', FULL, json.dumps({'activities': crowd[1:], 'state': 'paused'}))
        self.assertEqual([e['waitsFor'] for e in self.explained(FULL)], ['paused'])

    def test_nothing_is_concluded_from_silence(self):
        self.fake.test('Set', 'us', FULL, json.dumps({'activities': []}))
        self.assertEqual([(e['waitsFor'], e['text']) for e in self.explained(FULL)], [(None, 'Run %d (crowd) waits for nothing: it is about to go on.' % FULL)])

    def test_a_workspace_that_is_copied(self):
        self.fake.test('Set', 'us', TURN, json.dumps({'copiesWorkspaceOf': 4}))
        self.assertEqual([(e['waitsFor'], e['text']) for e in self.explained(TURN)], [('workspace', 'Run %d (group) starts as soon as the workspace of run 4 is copied.' % TURN)])

    def test_without_the_history(self):
        self.fake.refuse('GetHistory', 'org.freedesktop.DBus.Error.AccessDenied', 'No.')
        self.assertIn('was paused at', self.ok('explain', str(PAUSED)))

    def test_usage(self):
        self.fails(64, 'explain')
        self.fails(64, 'explain', '1/dist')
        self.assertIn('There is no run 99.', self.fails(1, 'explain', '99'))


class Follow(Base):
    def popen(self, *args):
        before = self.fake.last()
        p = self.fake.popen('start', 'ship', '--follow', *args)
        self.addCleanup(p.kill)
        return p, wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')

    def asked(self, *beats):
        before = self.fake.last()
        t = self.terminal('start', 'ship', '--follow')
        run = wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')
        self.fake.beat(run, 'work')
        for beat in beats or (['held'],):
            self.fake.beat(run, *beat)
        t.wait_for('[l]ater?')
        return t, run

    def test_without_a_terminal_it_says_what_to_type_and_waits(self):
        p, run = self.popen()
        self.fake.beat(run, 'held')
        p.stdout.readline()
        self.assertEqual(p.stdout.readline(), '◆ build ▸ dist  waits for a decision: exited with status 1 (EXIT)\n')
        self.assertEqual([p.stdout.readline() for _ in range(3)],
                         ['    runbookctl --user retry %d/dist\n' % run, '    runbookctl --user ignore %d/dist -m WHY\n' % run, '    runbookctl --user abort %d/dist -m WHY\n' % run])
        self.fake.beat(run, 'decided', 'ignore', 'bob', 'known')
        self.assertEqual(p.stdout.readline(), '● build ▸ dist  decided: ignore; known, by bob\n')
        self.fake.beat(run, 'end')
        self.assertEqual(p.wait(), 0)

    def test_missing_inputs(self):
        p, run = self.popen()
        self.fake.beat(run, 'wants')
        p.stdout.readline()
        self.assertEqual([p.stdout.readline() for _ in range(2)],
                         ['◆ build ▸ dist  waits for input: version, count\n', '    runbookctl --user provide %d/dist version=VALUE count=VALUE\n' % run])
        self.fake.beat(run, 'end')
        self.assertEqual(p.wait(), 0)

    def test_what_else_happens_to_a_run(self):
        p, run = self.popen()
        p.stdout.readline()
        for event, data, line in (('run-paused', {'uid': 1000, 'user': 'alice', 'reason': 'lunch'}, '● run paused: lunch, by alice'),
                                  ('run-resumed', {'uid': 1000, 'user': 'alice'}, '● run goes on, by alice'),
                                  ('run-backoff', {'until': FUTURE}, '● run waits for its next try: until 2100-01-01 00:00:00'),
                                  ('run-started', {'attempt': 2}, '● run started'),
                                  ('inputs-changed', {'uid': 0, 'user': 'root', 'changes': {'a': {'old': 1, 'new': 2}}}, '● inputs changed: a: 1 → 2, by root'),
                                  ('activity-reused', {'activity': 'qa', 'state': 'success', 'run': 7}, '● sign-off ▸ qa  taken over: success; from run 7')):
            self.fake.beat(run, 'tell_with', event, data)
            self.assertEqual(p.stdout.readline(), line + '\n')
        self.fake.beat(run, 'end')
        self.assertEqual(p.wait(), 0)

    def test_retry_with_a_reason(self):
        t, run = self.asked()
        t.wait_for('build ▸ dist failed: what now?', 'exited with status 1 (EXIT)')
        t.type('x', 'Enter')
        t.type('r', 'Enter')
        t.wait_for('Why?')
        t.type('disk was full', 'Enter')
        t.wait_for('decided: retry; disk was full', 'attempt 2 (manual)')
        self.assertEqual([c['args'] for c in self.fake.calls('Retry')], [[{'OpenedAt': T0, 'Comment': 'disk was full'}]])
        self.fake.beat(run, 'held')                     # it fails again, and it is asked again
        t.wait_for('attempt 2 (manual)', '[l]ater? ')
        t.type('abort', 'Enter')
        t.wait_for('Why?')
        t.type('Enter')
        t.wait_for('decided: abort')
        self.assertEqual([c['args'] for c in self.fake.calls('Abort')], [[{'OpenedAt': T0}]])
        self.fake.beat(run, 'end', 'failed')
        self.assertEqual(t.wait_exit(), 1)

    def test_ignore(self):
        t, run = self.asked()
        t.type('i', 'Enter', 'known', 'Enter')
        t.wait_for('decided: ignore; known')
        self.assertEqual([c['args'] for c in self.fake.calls('Ignore')], [[{'OpenedAt': T0, 'Comment': 'known'}]])
        self.fake.beat(run, 'end', 'partial-success')
        self.assertEqual(t.wait_exit(), 2)

    def test_later(self):
        for keys in (('l', 'Enter'), ('C-d',)):
            t, run = self.asked()
            t.type(*keys)
            t.wait_for('Later: runbookctl --user retry %d/dist (or ignore, abort)' % run)
            self.fake.beat(run, 'decided', 'abort')
            self.fake.beat(run, 'end', 'failed')
            self.assertEqual(t.wait_exit(), 1)
            self.assertEqual(self.fake.calls('Retry') + self.fake.calls('Ignore') + self.fake.calls('Abort'), [])

    def test_what_the_daemon_refuses_is_asked_again(self):
        t, run = self.asked()
        t.type('r', 'Enter', 'wrong', 'Enter')
        t.wait_for('not so')
        t.type('r', 'Enter', 'this time', 'Enter')
        t.wait_for('decided: retry; this time')
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    def test_decided_elsewhere_or_by_the_clock(self):
        for beat, words in ((('decided', 'ignore', 'bob'), 'decided: ignore, by bob'), (('gave_up_waiting',), 'nobody decided in time (INPUT_TIMEOUT)')):
            t, run = self.asked()
            self.fake.beat(run, *beat)
            t.wait_for('That is settled', words)
            self.fake.beat(run, 'end')
            self.assertEqual(t.wait_exit(), 0)

    def test_a_hostile_error(self):
        t, _ = self.asked(['held', HOSTILE])
        screen = t.wait_for('failed: what now?', 'evil')
        self.assertNotIn(ESCAPE, screen)
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)


class Watch(Base):
    def start(self, *beats):
        self.fake.auto(*beats)
        self.ok('start', 'ship')
        self.fake.calls()
        return self.fake.last()

    def test_enter_asks(self):
        run = self.start(['work'], ['held'])
        t = self.terminal('watch', str(run))
        t.wait_for('◆ dist  runbookctl --user retry %d/dist (or ignore, abort)' % run, 'Enter: answer here')
        t.type('Enter')
        t.wait_for('%d/dist failed: what now?' % run, 'exited with status 1 (EXIT)', '[l]ater?')
        t.type('r', 'Enter')
        t.wait_for('Why?')
        t.type('fixed', 'Enter')
        t.wait_for('ship, run %d: running' % run, 'attempt 2 (manual)')
        self.assertEqual([c['args'] for c in self.fake.calls('Retry')], [[{'OpenedAt': T0, 'Comment': 'fixed'}]])
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    def test_an_approval_too(self):
        run = self.start(['hold'])
        t = self.terminal('watch', str(run))
        t.wait_for('Enter: answer here')
        t.type('Enter')
        t.wait_for('%d/qa wants an approval' % run, '[s]kip?')
        t.type('r', 'Enter', 'no', 'Enter')
        wait_until(lambda: self.fake.calls('Reject'), 'the answer')
        self.fake.beat(run, 'end', 'rejected')
        self.assertEqual(t.wait_exit(), 1)

    def test_settled_while_it_asks(self):
        run = self.start(['work'], ['held'])
        t = self.terminal('watch', str(run))
        t.wait_for('Enter: answer here')
        t.type('Enter')
        t.wait_for('[l]ater?')
        self.fake.beat(run, 'decided', 'ignore', 'bob')
        t.wait_for('– dist', gone=['[l]ater?'])
        t.type('C-c')
        self.assertEqual(t.wait_exit(), 130)

    def test_enter_without_a_question_leaves_the_screen_as_it_is(self):
        run = self.start(['work'])
        t = self.terminal('watch', str(run))
        t.wait_for('▶ dist')
        for _ in range(3):
            t.type('Enter')
        self.fake.beat(run, 'worked')
        screen = t.wait_for('✔ build')
        self.assertEqual(screen.count('● ship'), 1, screen)
        t.type('C-c')
        t.wait_exit()

    def test_no_input(self):
        run = self.start(['work'], ['held'])
        self.assertIn('Run %d waits for a person.' % run, self.fails(3, 'watch', str(run), '--no-input'))
        t = self.terminal('watch', str(run), '--no-input')
        self.assertEqual(t.wait_exit(), 3)
        self.assertNotIn('Enter:', t.screen())

    def test_without_a_terminal_it_says_what_to_type(self):
        run = self.start(['work'], ['held'])
        p = self.fake.popen('watch', str(run))
        self.addCleanup(p.kill)
        self.assertIn('dist  on-hold  decision: runbookctl --user retry %d/dist (or ignore, abort)' % run, p.stdout.readline())
        self.assertIsNone(p.poll())
        p.terminate()
        self.assertEqual(p.wait(), 143)

    def test_all_runs(self):
        t = self.terminal('watch')
        t.wait_for('◆ only  runbookctl --user retry %d/only (or ignore, abort)' % ONE_HELD, '◆ Deploy?  runbookctl --user approve 2/qa (or reject)')
        t.type('C-c')
        t.wait_exit()


class Names(Base):
    """Completion knows what can be named."""

    def words(self, *args):
        p = self.fake.ctl('__complete', '--', '--user', *args, user=False)
        self.assertEqual((p.returncode, p.stderr), (0, b''))
        return [line.split('\t')[0] for line in p.stdout.decode().splitlines()]

    def test_decisions(self):
        for verb in ('retry', 'ignore', 'abort'):
            self.assertEqual(self.words(verb, ''), ['%d/roll' % HELD, '%d/check' % HELD, '%d/only' % ONE_HELD])
        self.assertEqual(self.words('approve', ''), ['2/qa', '3/b'])

    def test_runs_by_state(self):
        self.assertEqual(self.words('pause', ''), [str(n) for n in (WAITING_INPUT, CANCELLING, FULL, ONE_HELD, HELD, 3, 2)])
        self.assertEqual(self.words('resume', ''), [str(PAUSED)])
        self.assertEqual(self.words('start-now', ''), [str(n) for n in (TURN, QUEUED, SCHEDULED)])
        self.assertEqual(self.words('reschedule', ''), [str(SCHEDULED)])
        self.assertEqual(self.words('reschedule', str(SCHEDULED), ''), [])
        self.assertEqual(self.words('replay', ''), [str(n) for n in (CANCELLED, DLQ, EXHAUSTED, 4)])
        self.assertEqual(self.words('rerun', ''), [str(n) for n in (CANCELLED, REPLAYED, DLQ, EXHAUSTED, 4, 1)])
        self.assertIn(str(DLQ), self.words('cancel', ''))
        self.assertNotIn('4', self.words('cancel', ''))
        self.assertIn('4', self.words('explain', ''))

    def test_phases_and_activities(self):
        self.assertEqual(self.words('start', 'ship', '--only', ''), ['build', 'sign-off'])
        self.assertEqual(self.words('start', 'ship', '--only=s'), ['--only=sign-off'])
        self.assertEqual(self.words('start', 'ship', '--only=build,'), ['--only=build,build', '--only=build,sign-off'])
        self.assertEqual(self.words('rerun', '1', '--only', ''), ['build', 'publish'])
        self.assertEqual(self.words('rerun', '1', '--only', 'build,p'), ['build,publish'])
        self.assertEqual(self.words('replay', '1', '--from', ''), ['build', 'publish', 'dist', 'docs', 'upload'])
        self.assertEqual(self.words('replay', '1', '--from=d'), ['--from=dist', '--from=docs'])
        self.assertEqual(self.words('replay', '--from', ''), [])        # of which run?
        self.assertEqual(self.words('replay', 'x', '--from', ''), [])
        self.assertEqual(self.words('start', 'nosuch', '--only', ''), [])

    def test_inputs(self):
        self.assertEqual(self.words('set-input', '2', ''), ['target='])
        self.assertEqual(self.words('set-input', '2', 'target=x', 'ta'), ['target='])
        self.assertNotIn('4', self.words('set-input', ''))


if __name__ == '__main__':
    main()
