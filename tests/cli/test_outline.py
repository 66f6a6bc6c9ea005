"""Who may not read a run: where it stands is for everybody, without a password; what is protected is asked for where somebody can answer, and said to be left out elsewhere."""

import json
import os
import pwd
import subprocess
import sys
import unittest

from cli_harness import LIMIT, Daemon, TestCase, environment, main, program
from fake_daemon import CANCELLED, CANCELLING, COUNTED, DLQ, EXHAUSTED, FULL, FUTURE, HELD, PAUSED, QUEUED, REPLAYED, SCHEDULED, T0, TURN, WAITING_INPUT
from test_output import squeezed

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'bus'))
from fake_polkit import FakePolkit  # noqa: E402  pylint: disable=wrong-import-position

DENIED = 'org.freedesktop.DBus.Error.AccessDenied'
ASK_FIRST = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'
NO_PASSWORD = 'inputs, outputs, errors and logs, which you may not read without a password'
NO_RULE = 'inputs, outputs, errors and logs: a rule of polkit would have to allow it (org.runbookd1.read)'
ENGINE = 4294967295


class Outline(TestCase):
    def setUp(self):
        self.fake.auto()
        self.fake.test('Stage')
        self.fake.test('People')
        for run in (1, 2, 4, HELD, COUNTED):    # that nobody of this machine has started
            self.fake.test('Set', 'us', run, json.dumps({'startedBy': ENGINE}))
        self.fake.calls()

    def outline(self, *args, refusal=ASK_FIRST, **kwargs):
        """What is printed to who may not read; none of its calls may ask for a password."""
        self.fake.test('Refuse', 's', json.dumps({m: [refusal, 'No.'] for m in ('Describe', 'GetRequest', 'GetHistory')}))
        self.fake.calls()
        text = self.ok(*args, **kwargs)
        self.assertEqual({q for member in ('Describe', 'GetRequest', 'GetHistory', 'OpenLog') for q in self.fake.questions(member)}, {False})
        return text

    def explained(self, run, **kwargs):
        return ' '.join(self.outline('explain', str(run), **kwargs).split())

    def test_status(self):
        """Names, states, times, and who is waited for (S1.14)."""
        self.golden('outline-status', squeezed(self.outline('status', '2')))
        self.golden('outline-status-held', squeezed(self.outline('status', str(HELD))))
        self.golden('outline-status-denied', squeezed(self.outline('status', '4', refusal=DENIED)))

    def test_status_of_an_activity(self):
        text = self.outline('status', '2/qa')
        for line in ('qa (approval): Deploy?; from group:qa, alice; until 2023-11-15 22:13:20\n', 'Not shown: %s\n' % NO_PASSWORD, ' runbookctl --user status 2/qa --all\n', '◆ qa  on-hold (approval)\n'):
            self.assertIn(line, text)
        self.assertIn('has no activity', self.fails(1, 'status', '2/nothing'))

    def test_who_is_asked_sees_the_question_all_the_same(self):
        self.fake.refuse('Describe', ASK_FIRST, 'No.')
        self.assertIn('two (approval): Two; from alice, bob, group:qa; 1 of 2 have approved: alice;', self.ok('status', str(COUNTED)))

    def test_quiet_has_no_commands(self):
        for verb in ('status', 'explain'):
            text = ' '.join(self.outline('-q', verb, '2').split())
            self.assertIn(NO_PASSWORD, text)
            self.assertNotIn('runbookctl', text)

    def test_json_has_a_mark(self):
        """What can't be known is not there: null would say that there is none."""
        for refusal, mark in ((ASK_FIRST, 'password'), (DENIED, 'denied')):
            run = json.loads(self.outline('--json=short', 'status', '2', refusal=refusal))
            self.assertEqual((run['outline'], run['id'], run['runbook'], run['state'], run['pendingRequests'], run['replayOf'], run['startedAt']),
                             (mark, 2, 'deploy', 'on-hold', 1, None, T0 + 1000000))
            self.assertEqual({'inputs', 'reason', 'startedByName'} & set(run), set())
            self.assertEqual(run['phases'][1], {'name': 'go', 'state': 'pending', 'reason': None})
            self.assertEqual(run['activities'], [{'name': 'qa', 'phase': 'sign-off', 'state': 'on-hold', 'attempt': 1, 'waitingFor': 'approval', 'title': 'Deploy?', 'approvers': ['group:qa', 'alice'],
                                                  'deadline': T0 + 86400000000, 'nextRetryAt': 0},
                                                 {'name': 'roll', 'phase': 'go', 'state': 'pending', 'attempt': 0, 'waitingFor': None}])
            activity = json.loads(self.outline('--json=short', 'status', '2/qa', refusal=refusal))
            self.assertEqual(activity, {**run['activities'][0], 'outline': mark})
            self.assertEqual([e['outline'] for e in json.loads(self.outline('--json=short', 'explain', str(HELD), refusal=refusal))], [mark] * 3)
        self.assertNotIn('outline', json.loads(self.ok('--json=short', 'status', '2')))

    def test_explain(self):
        """It says what everybody may know, and nothing that it can't know."""
        for run, says in ((1, 'all went well. A rerun'), (2, '"Deploy?". Who can act: group:qa, alice. There is time until'), (4, 'it failed. What failed: work. A replay'),
                          (HELD, 'Activity roll failed and waits for a decision. Who can act: whoever may operate runs.'),
                          (HELD, 'Activity notes failed and is tried again, as attempt 2, at 2100-01-01'), (SCHEDULED, 'is scheduled and starts at 2100-01-01'),
                          (PAUSED, 'is paused: nothing new starts in it until it is resumed. Activity work runs.'), (QUEUED, 'starts all its phases again, as attempt 2, at 2100-01-01'),
                          (EXHAUSTED, 'has used up all its attempts. What failed: work.'), (DLQ, 'runbookd gave it up.'), (REPLAYED, 'What failed: pages.'),
                          (FULL, 'waits for no person and for no time: it is about to go on, or other runs have to make room.'), (CANCELLING, 'is being cancelled: its hooks'),
                          (CANCELLED, 'it was cancelled.'), (WAITING_INPUT, 'Activity work waits for input. Who can act'), (TURN, 'waits for its turn')):
            with self.subTest(run=run, says=says):
                text = self.explained(run)
                self.assertIn(says, text)
                self.assertTrue(text.endswith('Not known here: %s. runbookctl --user explain %d --all' % (NO_PASSWORD, run)), text)
                self.assertNotIn('?,', text)
        self.assertTrue(self.explained(2, refusal=DENIED).endswith('Not known here: %s.' % NO_RULE))
        self.fake.test('Set', 'us', TURN, json.dumps({'replayOf': 4}))
        self.assertIn('has not begun: a workspace is copied for it, or other runs have to make room.', self.explained(TURN))

    def test_many_failed(self):
        self.fake.test('Set', 'us', EXHAUSTED, json.dumps({'activities': [dict(name='a%d' % i, phase='go', state='failed', attempts=[], waitingFor=None, nextRetryAt=0) for i in range(6)]}))
        self.assertIn('What failed: a0, a1, a2, a3, a4 and others.', self.explained(EXHAUSTED))

    def test_all_asks(self):
        """Once, for the description; nothing behind it asks again."""
        self.fake.calls()
        self.assertIn('target = "web"', self.ok('status', '2', '--all'))
        self.assertEqual((self.fake.questions('Describe'), self.fake.questions('GetRequest')), ([True], [False]))
        self.fake.calls()
        self.ok('explain', str(PAUSED), '--all')
        self.assertEqual((self.fake.questions('Describe'), self.fake.questions('GetHistory')[0]), ([True], False))
        self.fake.calls()
        self.ok('--no-ask-password', 'status', '2', '--all')
        self.assertEqual(self.fake.questions('Describe'), [False])
        for verb in ('status', 'explain'):
            self.fake.refuse('Describe', ASK_FIRST, 'This needs authentication.')
            self.assertEqual(self.fails(1, verb, '2', '--all'), 'This needs authentication.\nStandard input is no terminal, so nobody can be asked for a password here.\n')
        self.assertIn('--all is about a run', self.fails(64, 'status', '--all'))

    def test_other_errors_are_no_refusals(self):
        self.fake.refuse('Describe', 'org.runbookd1.Error.TooLarge', 'Too much.')
        self.assertEqual(self.fails(1, 'status', '2'), 'Too much.\n')


RUNBOOK = '''
inputs: {word: {type: string}}
phases:
  - name: main
    activities:
      - {name: say, run: 'echo "${{ inputs.word }}"'}
      - {name: ask, approval: {title: Go on?, message: 'Really ${{ inputs.word }}?', approvers: [daemon]}}
'''
READ = 'org.runbookd1.read'
WORD = 'inner-most'


@unittest.skipUnless(os.getuid() == 0, 'needs root')
class System(unittest.TestCase):
    """The real daemon on a system bus, with a polkit that the test plays. Standard input is no terminal, but whoever sits at a desktop is asked there."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(kind='system')
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.write_runbook('held', RUNBOOK)
        cls.daemon.start()
        cls.polkit = FakePolkit(cls.daemon.bus).start()
        cls.addClassCleanup(cls.polkit.close)
        cls.run_ = cls.daemon.start_run('held', {'word': WORD})
        cls.run_.wait_state('on-hold')
        cls.number = str(cls.run_.id)

    def setUp(self):
        self.polkit.set_rules()

    def ctl(self, user, *args):
        """(exit status, output, errors) of runbookctl of this user"""
        uid = pwd.getpwnam(user).pw_uid
        command = ['setpriv', '--reuid=%d' % uid, '--regid=%d' % uid, '--clear-groups', program('runbookctl', 'ctl'), *args]
        p = subprocess.run(command, env=environment('unix:path=/nowhere', self.daemon.scratch, DBUS_SYSTEM_BUS_ADDRESS=self.daemon.bus.address), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        return p.returncode, p.stdout, p.stderr

    def asked(self):
        """Whether people were asked, question by question."""
        return [bool(q['flags']) for q in self.polkit.questions()]

    def test_where_it_stands(self):
        for user in ('daemon', 'nobody'):
            for verb in ('status', 'explain'):
                status, text, error = self.ctl(user, verb, self.number)
                self.assertEqual((status, error), (0, ''))
                self.assertIn('ask', text)
                self.assertIn(NO_PASSWORD, ' '.join(text.split()))
                self.assertNotIn(WORD, text)
            self.assertEqual(self.ctl(user, 'show', self.number, '-p', 'State')[:2], (0, 'State=on-hold\n'))
        status, text, _ = self.ctl('nobody', 'status', self.number)
        for part in ('held, run %s: on-hold' % self.number, ', by root\n', 'ask (approval): Go on?; from daemon\n', 'runbookctl approve %s/ask\n' % self.number, 'say  success'):
            self.assertIn(part, text)
        run = json.loads(self.ctl('nobody', '--json=short', 'status', self.number)[1])
        self.assertEqual((run['outline'], run['startedBy'], [a['state'] for a in run['activities']]), ('password', 0, ['success', 'on-hold']))
        self.assertNotIn(True, self.asked())

    def test_who_may_read_sees_all(self):
        self.polkit.set_rules({'action': READ, 'answer': 'yes'})
        status, text, _ = self.ctl('nobody', 'status', self.number)
        self.assertEqual(status, 0)
        self.assertIn('word = "%s"' % WORD, text)
        self.assertNotIn('Not shown', text)

    def protected(self):
        run = self.number
        return (('status', run, '--all'), ('explain', run, '--all'), ('logs', run), ('logs', run + '/say'), ('history', run), ('cat', 'held'))

    def test_what_is_protected(self):
        """Section 11: status 1, and no question where none is allowed or nobody is there."""
        for command in self.protected():
            for option, asked, advice in ((('--no-ask-password',), [False], 'Leave out --no-ask-password'), ((), [False, True], 'Standard input is no terminal')):
                with self.subTest(command=command, option=option):
                    self.polkit.set_rules()
                    status, text, error = self.ctl('nobody', *option, *command)
                    self.assertEqual((status, text, self.asked()), (1, '', asked))
                    self.assertIn('This needs authentication (polkit action %s)' % READ, error)
                    self.assertIn(advice, error)

    def test_the_answer_of_who_is_asked(self):
        for command in self.protected():
            with self.subTest(command=command):
                self.polkit.set_rules({'action': READ, 'answer': 'auth'})
                status, text, error = self.ctl('nobody', *command)
                self.assertEqual((status, error), (0, ''))
                self.assertNotEqual(text, '')
                if command[0] in ('cat', 'status', 'explain') or '/' in command[1]:
                    self.assertEqual(self.asked().count(True), 1)
                for answer, words in (('wrong', 'the password was wrong, or not given. Try again.'), ('dismissed', 'has closed the question'), ('no', "polkit's rules would have to allow it")):
                    self.polkit.set_rules({'action': READ, 'answer': answer})
                    status, text, error = self.ctl('nobody', *command)
                    self.assertEqual((status, text), (1, ''))
                    self.assertIn(words, error)

    def test_a_rule_says_no(self):
        self.polkit.set_rules({'action': READ, 'answer': 'no'})
        status, text, _ = self.ctl('nobody', 'status', self.number)
        self.assertEqual(status, 0)
        self.assertIn('Not shown: %s\n' % NO_RULE, text)
        self.assertNotIn('--all', text)


if __name__ == '__main__':
    main()
