"""Who may do what on the system bus: the lists of runbookd, and polkit, which a test plays. Needs root, to be other users too.

The people: root; starter (bin), who has started the run; approver (daemon), who is on the list of the request; member (games), to whom polkit's rules allow to start what is called
deploy-…, as a group of deployers might; operator (sys), to whom they allow to operate and read everything; nobody."""
import contextlib
import grp
import json
import multiprocessing
import os
import pwd
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ET

import dbus
import dbus.bus
import dbus.lowlevel
from gi.repository import GLib

import harness
from fake_polkit import FakePolkit
from harness import ACCESS_DENIED, ACTIVITY, AUTHENTICATION_REQUIRED, ERROR, INVALID_ARGS, LIMITS_EXCEEDED, MANAGER, NAME, PATH, PROPERTIES, RUN, UNKNOWN_OBJECT

NOBODY, APPROVER, STARTER, OPERATOR, MEMBER = (pwd.getpwnam(name).pw_uid for name in ('nobody', 'daemon', 'bin', 'sys', 'games'))
PEOPLE = {'nobody': NOBODY, 'approver': APPROVER, 'starter': STARTER, 'operator': OPERATOR, 'member': MEMBER, 'root': 0}
START, OPERATE, ANSWER, READ, MANAGE = ('org.runbookd1.' + a for a in ('start', 'operate', 'answer', 'read', 'manage'))
NOT_APPROVER = ERROR + 'NotApprover'
PENDING_MAX = 32                                # calls of a uid
CHECKS_MAX = 16                                 # questions to polkit that no person has to answer
PROMPTS_MAX = 40                                # the others

# What a group of deployers, and operators, might be given.
RULES = (
    {'uid': MEMBER, 'action': START, 'runbook': 'deploy-web', 'answer': 'yes'},
    {'uid': STARTER, 'action': START, 'runbook': 'deploy-web', 'answer': 'yes'},
    {'uid': OPERATOR, 'action': OPERATE, 'answer': 'yes'},
    {'uid': OPERATOR, 'action': READ, 'answer': 'yes'},
)

DEPLOY = '''
inputs: {note: {type: string}}
phases:
  - name: main
    activities:
      - name: ask
        approval: {title: Go on?, message: 'Really? ${{ inputs.note }}', approvers: [daemon, 'group:mail']}
      - name: later
        run: echo later
'''

TWO = '''
phases:
  - name: main
    activities:
      - {name: ask, approval: {approvers: [daemon, sys]}}
'''

NOBODY_NAMED = 'phases: [{name: main, activities: [{name: ask, approval: {message: private}}]}]'
OWNED = '''
owners: [daemon]
phases:
  - name: main
    activities:
      - {name: broken, run: 'false'}
'''

INPUT = '''
inputs: {version: {type: string, required: true}}
owners: [daemon]
phases:
  - name: main
    activities:
      - {name: use, run: 'echo "${{ inputs.version }}"'}
'''

NO_OPTIONS = dbus.Dictionary({}, signature='sv')
VALUES = dbus.Dictionary({'note': 'x'}, signature='sv')

# Every method, what it is called with, and who is not refused; the others are in the dictionary, with what they are told. Root and whoever isn't named: see expected().
EVERYBODY = ('nobody', 'approver', 'starter', 'operator', 'member', 'root')
READERS = ('starter', 'operator', 'root')
METHODS = (
    (MANAGER, 'StartRun', 'sa{sv}a{sv}', ('deploy-web', NO_OPTIONS, NO_OPTIONS), ('starter', 'member', 'root')),
    (MANAGER, 'ListRunbooks', '', (), EVERYBODY),
    (MANAGER, 'GetRunbook', 's', ('deploy-web',), ('operator', 'root')),
    (MANAGER, 'ListRuns', 'a{sv}', (NO_OPTIONS,), EVERYBODY),
    (MANAGER, 'GetRun', 'u', (1,), EVERYBODY),
    (MANAGER, 'ListRequests', '', (), EVERYBODY),
    (MANAGER, 'Verify', 's', ('',), EVERYBODY),
    (MANAGER, 'Reload', 'a{sv}', (NO_OPTIONS,), ('root',)),
    (RUN, 'StartNow', 'a{sv}', (NO_OPTIONS,), ('starter', 'member', 'root')),
    (RUN, 'Reschedule', 'ta{sv}', (1, NO_OPTIONS), ('starter', 'member', 'root')),
    (RUN, 'Rerun', 'a{sv}', (NO_OPTIONS,), ('starter', 'member', 'root')),
    (RUN, 'Cancel', 'a{sv}', (NO_OPTIONS,), ('starter', 'operator', 'root')),
    (RUN, 'Pause', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (RUN, 'Resume', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (RUN, 'SetInputs', 'a{sv}a{sv}', (VALUES, NO_OPTIONS), ('operator', 'root')),
    (RUN, 'Replay', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (RUN, 'GetInputs', '', (), READERS),
    (RUN, 'ListActivities', '', (), EVERYBODY),
    (RUN, 'GetHistory', 'uu', (0, 0), READERS),
    (RUN, 'GetDefinition', '', (), READERS),
    (RUN, 'Describe', '', (), READERS),
    (ACTIVITY, 'Retry', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (ACTIVITY, 'Ignore', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (ACTIVITY, 'Abort', 'a{sv}', (NO_OPTIONS,), ('operator', 'root')),
    (ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,), ('approver',)),
    (ACTIVITY, 'Reject', 'a{sv}', (NO_OPTIONS,), ('approver',)),
    (ACTIVITY, 'Provide', 'a{sv}', (NO_OPTIONS,), ('approver',)),
    (ACTIVITY, 'GetRequest', '', (), READERS + ('approver',)),
    (ACTIVITY, 'Describe', '', (), READERS),
    (ACTIVITY, 'OpenLog', 'us', (0, ''), READERS),
    (ACTIVITY, 'ReadLog', 'ust', (0, '', 0), READERS),
)
REFUSALS = (ACCESS_DENIED, AUTHENTICATION_REQUIRED, NOT_APPROVER)


def expected(method, person):
    """'' for what is not refused."""
    if person in method[4]:
        return ''
    return NOT_APPROVER if method[1] in ('Approve', 'Reject', 'Provide') else AUTHENTICATION_REQUIRED


def attempt(connection, path, interface, method, signature='', args=(), interactive=False):
    """(name of the error or '', its text or the values)"""
    m = dbus.lowlevel.MethodCallMessage(NAME, path, interface, method)
    m.append(*args, signature=signature)
    m.set_allow_interactive_authorization(interactive)
    try:
        return '', connection.send_message_with_reply_and_block(m, harness.WAIT).get_args_list(byte_arrays=True)
    except dbus.DBusException as e:
        return e.get_dbus_name(), e.get_dbus_message()


def plain(value):
    """Without descriptors, which don't go through a pipe."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value if isinstance(value, str) else repr(value)


def attempt_all(address, calls, interactive=False):
    connection = dbus.bus.BusConnection(address)
    results = [attempt(connection, *call, interactive=interactive) for call in calls]
    return [(name, str(text) if name else plain(text)) for name, text in results]


@unittest.skipUnless(os.getuid() == 0, 'needs root')
class PolkitCase(harness.TestCase):
    RULES = RULES

    @classmethod
    def make_daemon(cls):
        return harness.Daemon(kind='system')

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.polkit = FakePolkit(cls.daemon.bus)
        cls.polkit.start()
        for name, text in (('deploy-web', DEPLOY), ('other', DEPLOY), ('two', TWO), ('nobody-named', NOBODY_NAMED), ('owned', OWNED), ('input', INPUT)):
            cls.daemon.write_runbook(name, text)

    @classmethod
    def tearDownClass(cls):
        cls.polkit.close()
        super().tearDownClass()

    def setUp(self):
        self.polkit.set_rules(*self.RULES)

    def tearDown(self):
        for run in self.daemon.manager('ListRuns', 'a{sv}', dbus.Dictionary({'States': dbus.Array(['on-hold', 'running'], signature='s')}, signature='sv')):
            self.cancel(self.daemon.run(run[0]))

    @staticmethod
    def cancel(run):
        with contextlib.suppress(dbus.DBusException):   # it may have ended
            run.call('Cancel', 'a{sv}', {})

    def as_user(self, uid, *call, interactive=False):
        return harness.run_as(uid, attempt_all, self.daemon.bus.address, [call], interactive)[0]

    def on_hold(self, runbook='deploy-web', uid=0, **inputs):
        """A run of it that waits for a person, started by this user."""
        if uid:
            name, values = self.as_user(uid, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', (runbook, dbus.Dictionary(inputs, signature='sv'), NO_OPTIONS))
            self.assertEqual(name, '', values)
            run = self.daemon.run(int(values[1].rsplit('/', 1)[1]))
        else:
            run = self.daemon.start_run(runbook, inputs)
        run.wait_state('on-hold')
        return run

    def path_of(self, run, interface, activity='ask'):
        return {MANAGER: PATH, RUN: run.path}.get(interface) or '%s/activity/%s' % (run.path, activity)


class Everybody(PolkitCase):
    """S2.3: each method as each of them"""

    def test_every_method(self):
        for method in METHODS:
            for person, uid in PEOPLE.items():
                run = self.on_hold(uid=STARTER)
                name, text = self.as_user(uid, self.path_of(run, method[0]), *method[:4])
                with self.subTest(method=method[1], person=person):
                    self.assertEqual(name if name in REFUSALS else '', expected(method, person), text)
                if name in REFUSALS:
                    self.assertEqual((run.get('State'), run.get('PendingRequests')), ('on-hold', 1))
                self.cancel(run)

    def test_the_list_is_complete(self):
        ours = {(m[0], m[1]) for m in METHODS}
        for interface in (MANAGER, RUN, ACTIVITY):
            root = ET.parse(os.path.join(harness.SOURCE, 'dbus', interface + '.xml'))
            self.assertEqual({(interface, m.get('name')) for m in root.iter('method')}, {m for m in ours if m[0] == interface})

    def test_refused_by_rule(self):
        """AccessDenied where no password helps."""
        self.polkit.set_rules({'answer': 'no'})
        run = self.on_hold()
        for method in METHODS:
            if 'nobody' in method[4]:
                continue
            name, text = self.as_user(NOBODY, self.path_of(run, method[0]), *method[:4], interactive=True)
            self.assertIn(name, (NOT_APPROVER,) if method[1] in ('Approve', 'Reject', 'Provide') else (ACCESS_DENIED,), method[1])
            self.assertTrue(text)
        name, text = self.as_user(APPROVER, self.path_of(run, ACTIVITY), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))
        self.assertEqual(name, ACCESS_DENIED)
        self.assertIn(ANSWER, text)

    def test_starter(self):
        """May read and cancel what he has started, whatever polkit says; and no more."""
        run = self.on_hold(uid=MEMBER)
        self.polkit.set_rules({'answer': 'no'})
        self.assertEqual(self.as_user(MEMBER, run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,))[0], ACCESS_DENIED)
        self.assertEqual(self.as_user(STARTER, run.path, RUN, 'Describe')[0], ACCESS_DENIED)
        for method in ('Describe', 'GetInputs', 'GetDefinition'):
            self.assertEqual(self.as_user(MEMBER, run.path, RUN, method)[0], '')
        self.assertEqual(self.as_user(MEMBER, run.path, RUN, 'Cancel', 'a{sv}', (NO_OPTIONS,))[0], '')
        self.assertEqual(run.wait_ended(), 'cancelled')
        self.assertEqual(run.get('StartedBy'), MEMBER)

    def test_properties_are_for_everybody(self):
        run = self.on_hold()
        for path, interface in ((PATH, MANAGER), (run.path, RUN), (run.activity_path('ask'), ACTIVITY)):
            self.assertEqual(self.as_user(NOBODY, path, PROPERTIES, 'GetAll', 's', (interface,))[0], '')
        self.assertEqual(self.polkit.questions(), [])

    def test_errors_of_runbooks(self):
        """Which quote the file."""
        self.daemon.write_runbook('wrong', 'phases: [{name: main, secret-word: 1}]')

        def told(uid):
            return next(r[3] for r in self.as_user(uid, PATH, MANAGER, 'ListRunbooks')[1][0] if r[0] == 'wrong')
        self.assertIn('secret-word', told(0))
        self.assertTrue(told(NOBODY))
        self.assertNotIn('secret-word', told(NOBODY))


class Details(PolkitCase):
    """What polkit is asked"""

    def only_question(self):
        questions = self.polkit.questions()
        self.assertEqual(len(questions), 1, questions)
        return questions[0]

    def test_start(self):
        """S2.3: a rule may look at the runbook's name"""
        for runbook, told in (('deploy-web', ''), ('other', AUTHENTICATION_REQUIRED)):
            self.polkit.set_rules(*self.RULES)
            self.assertEqual(self.as_user(MEMBER, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', (runbook, NO_OPTIONS, NO_OPTIONS))[0], told)
            q = self.only_question()
            self.assertEqual((q['kind'], q['uid'], q['action'], q['details'], q['flags']), ('system-bus-name', MEMBER, START, {'runbook': runbook}, 0))

    def test_run_and_activity(self):
        run = self.on_hold()
        self.polkit.set_rules(*self.RULES)
        self.as_user(OPERATOR, run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,))
        self.assertEqual(self.only_question()['details'], {'runbook': 'deploy-web', 'run': str(run.id)})
        self.polkit.set_rules(*self.RULES)
        self.as_user(OPERATOR, run.activity_path('ask'), ACTIVITY, 'Describe')
        q = self.only_question()
        self.assertEqual((q['action'], q['details']), (READ, {'runbook': 'deploy-web', 'run': str(run.id), 'activity': 'ask', 'phase': 'main'}))

    def test_names_that_are_none(self):
        """They don't get as far as polkit."""
        for name in ('', '../x', 'X', 'a' * 65, 'a\nb'):
            self.assertEqual(self.as_user(MEMBER, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', (name, NO_OPTIONS, NO_OPTIONS))[0], ERROR + 'NoSuchRunbook')
            self.assertEqual(self.as_user(MEMBER, PATH, MANAGER, 'GetRunbook', 's', (name,))[0], ERROR + 'NoSuchRunbook')
        self.assertEqual(self.as_user(MEMBER, PATH, MANAGER, 'StartRun', 's', ('deploy-web',))[0], INVALID_ARGS)
        self.assertEqual([q for q in self.polkit.questions() if q['details'].get('runbook') != 'deploy-web'], [])

    def test_password(self):
        """First without people; a person is asked only where that helps and the caller allows it."""
        run = self.on_hold()
        call = (run.path, RUN, 'SetInputs', 'a{sv}a{sv}', (VALUES, NO_OPTIONS))
        for answer, interactive, told, flags in (('auth', False, AUTHENTICATION_REQUIRED, [0]), ('auth', True, '', [0, 1]), ('challenge', True, AUTHENTICATION_REQUIRED, [0, 1]),
                                                 ('no', True, ACCESS_DENIED, [0]), ('yes', True, '', [0])):
            with self.subTest(answer=answer, interactive=interactive):
                self.polkit.set_rules({'answer': answer})
                self.assertEqual(self.as_user(NOBODY, *call, interactive=interactive)[0], told)
                questions = self.polkit.questions()
                self.assertEqual([q['flags'] for q in questions], flags)
                self.assertEqual(['polkit.message' in q['details'] for q in questions], [f == 1 for f in flags])

    def test_why_not(self):
        """Who was asked for a password and gave a wrong one, or none, is told that, and not that a rule would have to allow it."""
        run = self.on_hold()
        for answer, flags, words in (('no', [0], "polkit's rules would have to allow it"), ('wrong', [0, 1], 'the password was wrong, or not given. Try again.'),
                                     ('dismissed', [0, 1], 'has closed the question'), ('cancelled', [0], 'the question was withdrawn')):
            with self.subTest(answer=answer):
                self.polkit.set_rules({'answer': answer})
                name, text = self.as_user(NOBODY, run.path, RUN, 'Describe', interactive=True)
                self.assertEqual((name, [q['flags'] for q in self.polkit.questions()]), (ACCESS_DENIED, flags))
                self.assertIn(words, text)
                self.assertIn(READ, text)
        for answer in ('wrong', 'dismissed'):           # nobody was asked
            self.polkit.set_rules({'answer': answer})
            self.assertEqual(self.as_user(NOBODY, run.path, RUN, 'Describe')[0], AUTHENTICATION_REQUIRED)

    def test_what_the_password_is_for(self):
        """The sentence in the dialog names what is asked for."""
        run = self.on_hold()
        read = 'Authentication is required to read inputs, errors, history and logs of run $(run) of “$(runbook)”'
        for call, message in (((run.path, RUN, 'GetHistory', 'uu', (0, 0)), read), ((run.activity_path('ask'), ACTIVITY, 'OpenLog', 'us', (0, '')), read),
                              ((PATH, MANAGER, 'GetRunbook', 's', ('deploy-web',)), 'Authentication is required to read the definition of “$(runbook)”'),
                              ((run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,)), 'Authentication is required to operate a run of “$(runbook)”')):
            self.polkit.set_rules({'answer': 'dismissed'})
            self.as_user(NOBODY, *call, interactive=True)
            details = self.polkit.questions()[1]['details']
            self.assertEqual((details['polkit.message'], details['runbook'], details.get('run')), (message, 'deploy-web', None if call[0] == PATH else str(run.id)))


class Caller:
    """A process of another user with one call that is on its way."""

    def __init__(self, case, uid, *call, interactive=False):
        self.ours, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                theirs.send(harness.run_as(uid, attempt_all, case.daemon.bus.address, [call], interactive)[0])
            finally:
                os._exit(0)
        theirs.close()

    def end(self):
        harness.wait_until(lambda: self.ours.poll(0), 'the answer')
        result = self.ours.recv()
        os.waitpid(self.pid, 0)
        self.ours.close()
        return result


class Later(PolkitCase):
    """The state is looked at again when polkit has answered"""

    def hold(self, uid, *call):
        self.polkit.set_rules({'uid': uid, 'answer': 'hold'})
        caller = Caller(self, uid, *call)
        harness.wait_until(self.polkit.questions, 'the question to polkit')
        return caller

    def test_run_has_ended(self):
        for method in ('Pause', 'Cancel'):
            run = self.on_hold()
            caller = self.hold(NOBODY, run.path, RUN, method, 'a{sv}', (NO_OPTIONS,))
            run.call('Cancel', 'a{sv}', {})
            run.wait_ended()
            self.polkit.release()
            self.assertEqual(caller.end()[0], ERROR + 'WrongState')

    def test_answered_meanwhile(self):
        run = self.on_hold()
        caller = self.hold(APPROVER, run.activity_path('ask'), ACTIVITY, 'Reject', 'a{sv}', (NO_OPTIONS,))
        run.approve('ask', Override=True)
        run.wait_ended()
        self.polkit.release()
        self.assertEqual(caller.end()[0], ERROR + 'AlreadyAnswered')
        self.assertEqual(run.get('State'), 'success')

    def test_activity_is_gone(self):
        """The definition was read again, without it."""
        text = "phases: [{name: main, activities: [{name: broken, run: 'false'}, {name: later, run: echo later}]}]"
        self.daemon.write_runbook('shrinks', text)
        run = self.on_hold('shrinks')
        path = run.activity_path('later')
        callers = [self.hold(NOBODY, path, ACTIVITY, 'Describe')]
        self.polkit.control('Questions')
        self.daemon.write_runbook('shrinks', text.replace(', {name: later, run: echo later}', ''))
        run.activity('broken', 'Retry', 'a{sv}', {'Reload': True})
        run.wait_state('on-hold')
        self.polkit.release()
        self.assertEqual(callers[0].end()[0], UNKNOWN_OBJECT)
        self.assertEqual(self.daemon.manager('GetRun', 'u', run.id), run.path)

    def test_no_longer_an_approver(self):
        """Another request of the same activity: it is his own check that is made again."""
        text = "phases: [{name: main, activities: [{name: ask, failurePolicy: hold, approval: {approvers: [daemon]}}]}]"
        self.daemon.write_runbook('moves', text)
        run = self.on_hold('moves')
        caller = self.hold(APPROVER, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))
        self.daemon.write_runbook('moves', text.replace('daemon', 'sys'))
        run.activity('ask', 'Reject', 'a{sv}', {'Override': True})
        harness.wait_until(lambda: run.activity_get('ask', 'WaitingFor') == 'decision', 'the decision')
        run.activity('ask', 'Retry', 'a{sv}', {'Reload': True})
        harness.wait_until(lambda: run.activity_get('ask', 'WaitingFor') == 'approval', 'the second request')
        self.polkit.release()
        self.assertEqual(caller.end()[0], NOT_APPROVER)

    def test_two_at_once(self):
        """One wins and the other is told."""
        run = self.on_hold('two')
        self.polkit.set_rules({'answer': 'hold'})
        callers = [Caller(self, uid, run.activity_path('ask'), ACTIVITY, method, 'a{sv}', (NO_OPTIONS,)) for uid, method in ((APPROVER, 'Approve'), (OPERATOR, 'Reject'))]
        harness.wait_until(lambda: len(self.polkit.questions()) == 2, 'both questions')
        self.polkit.release()
        results = [c.end()[0] for c in callers]
        self.assertEqual(sorted(results), ['', ERROR + 'AlreadyAnswered'])
        self.assertEqual(run.wait_ended(), 'success' if results[0] == '' else 'rejected')
        self.assertEqual(len(run.events('request-answered')), 1)

    def test_daemon_ends(self):
        run = self.on_hold()
        caller = self.hold(NOBODY, run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,))
        self.assertEqual(self.daemon.stop(), 0)
        self.assertNotEqual(caller.end()[0], '')
        self.daemon.start()
        self.assertEqual(run.get('State'), 'on-hold')


class Limits(PolkitCase):
    """What hangs in polkit is bounded, and cancelled with its caller"""

    def setUp(self):
        super().setUp()
        self.run_ = self.on_hold()
        self.polkit.set_rules({'uid': NOBODY, 'answer': 'hold'}, *self.RULES)

    def burst(self, uid, count, interactive=False):
        """A process of that user that sends so many calls at once."""
        process = subprocess.Popen([sys.executable, os.path.abspath(__file__), '--burst', self.daemon.bus.address, self.run_.path, str(uid), str(count), str(int(interactive))],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
            process.wait()
            process.stdout.close()

    @staticmethod
    def receive(process, count):
        """The next answers: names of errors, or ''."""
        return [process.stdout.readline().strip('-\n') for _ in range(count)]

    def test_33_pending(self):
        """The 33rd call of a uid is refused at once, whatever connection it comes by; others are served meanwhile."""
        burst = self.burst(NOBODY, PENDING_MAX + 1)
        self.assertEqual(self.receive(burst, 1), [LIMITS_EXCEEDED])
        self.assertEqual(self.as_user(NOBODY, self.run_.path, RUN, 'Describe')[0], LIMITS_EXCEEDED)
        self.assertEqual(len(self.polkit.questions()), CHECKS_MAX)
        self.assertEqual(self.as_user(NOBODY, PATH, MANAGER, 'GetRun', 'u', (self.run_.id,))[0], '')
        self.assertEqual(self.run_.get('State'), 'on-hold')
        for _ in range(PENDING_MAX // CHECKS_MAX):
            harness.wait_until(lambda: len(self.polkit.questions()) % CHECKS_MAX == 0, 'the next questions')
            self.polkit.release()
            self.assertEqual(self.receive(burst, CHECKS_MAX), [''] * CHECKS_MAX)
        self.assertEqual(len(self.polkit.questions()), PENDING_MAX)

    def test_what_needs_no_polkit(self):
        """Who has started a run reads its requests all the same; only whether he could answer is not found out."""
        self.polkit.set_rules({'uid': STARTER, 'action': START, 'answer': 'yes'}, {'uid': STARTER, 'answer': 'hold'})
        run = self.on_hold('nobody-named', uid=STARTER)
        burst = self.burst(STARTER, PENDING_MAX + 1)
        self.receive(burst, 1)
        name, values = self.as_user(STARTER, run.activity_path('ask'), ACTIVITY, 'GetRequest')
        self.assertEqual(name, '', values)
        self.assertEqual((json.loads(values[0])['message'], json.loads(values[0])['canAnswer']), ('private', True))

    def test_caller_leaves(self):
        """What it has asked is cancelled, and its place is free again."""
        burst = self.burst(NOBODY, PENDING_MAX + 1)
        self.receive(burst, 1)
        harness.wait_until(self.polkit.questions, 'the questions')
        self.end(burst)
        harness.wait_until(lambda: all(q['cancelled'] for q in self.polkit.questions()), 'the end of all questions')
        self.polkit.set_rules({'uid': NOBODY, 'answer': 'yes'})
        self.assertEqual(self.as_user(NOBODY, self.run_.path, RUN, 'Describe')[0], '')

    def test_all_pending(self):
        """256 calls in all, of whomever"""
        self.polkit.set_rules({'answer': 'hold'})
        users = [pwd.getpwnam(name).pw_uid for name in ('nobody', 'daemon', 'bin', 'sys', 'games', 'man', 'lp', 'mail')]
        bursts = [self.burst(uid, PENDING_MAX + 1) for uid in users]
        for burst in bursts:
            self.assertEqual(self.receive(burst, 1), [LIMITS_EXCEEDED])
        other = pwd.getpwnam('news').pw_uid
        self.assertEqual(self.as_user(other, self.run_.path, RUN, 'Describe')[0], LIMITS_EXCEEDED)
        self.assertEqual(self.as_user(other, PATH, MANAGER, 'GetRun', 'u', (self.run_.id,))[0], '')
        for burst in bursts:
            self.end(burst)
        self.polkit.set_rules({'uid': other, 'answer': 'yes'})
        harness.wait_until(lambda: self.as_user(other, self.run_.path, RUN, 'Describe')[0] == '', 'a free place')

    def test_people_who_are_asked_hold_nobody_up(self):
        """Open password dialogs don't keep those waiting whom a rule can answer."""
        self.polkit.set_rules({'uid': NOBODY, 'answer': 'prompt'}, {'uid': MEMBER, 'answer': 'prompt'}, *self.RULES)
        first = self.burst(NOBODY, PENDING_MAX, True)
        harness.wait_until(lambda: len([q for q in self.polkit.questions() if q['flags']]) == PENDING_MAX, 'the dialogs')
        second = self.burst(MEMBER, PROMPTS_MAX - PENDING_MAX + 1, True)
        self.assertEqual(self.receive(second, 1), [LIMITS_EXCEEDED])
        self.assertEqual(self.as_user(OPERATOR, self.run_.path, RUN, 'Describe')[0], '')
        self.assertEqual(len([q for q in self.polkit.questions() if q['flags']]), PROMPTS_MAX)
        self.assertEqual(self.as_user(MEMBER, self.run_.path, RUN, 'Describe')[0], AUTHENTICATION_REQUIRED)
        self.polkit.release('no')
        self.assertEqual(self.receive(first, PENDING_MAX), [ACCESS_DENIED] * PENDING_MAX)
        self.assertEqual(self.receive(second, PROMPTS_MAX - PENDING_MAX), [ACCESS_DENIED] * (PROMPTS_MAX - PENDING_MAX))


class Absent(PolkitCase):
    """Without polkit: root, and answers by those who are named"""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.come_back)

    def come_back(self):
        if not self.polkit.process:
            self.polkit.start()

    def test_absent(self):
        run = self.on_hold(uid=STARTER, note='x')
        unnamed = self.on_hold('nobody-named')
        self.polkit.stop()
        for method in METHODS:
            if 'nobody' in method[4] or method[0] == ACTIVITY and method[1] in ('Approve', 'Reject', 'Provide'):
                continue
            name, text = self.as_user(OPERATOR, self.path_of(run, method[0]), *method[:4], interactive=True)
            self.assertEqual(name, ACCESS_DENIED, method[1])
            self.assertIn('polkit', text)
        self.assertEqual(self.as_user(STARTER, run.path, RUN, 'GetInputs')[0], '')
        self.assertEqual(self.as_user(APPROVER, unnamed.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], ACCESS_DENIED)
        self.assertEqual(self.as_user(APPROVER, run.activity_path('ask'), ACTIVITY, 'GetRequest')[0], '')
        self.assertEqual(self.as_user(APPROVER, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (dbus.Dictionary({'Override': True}, signature='sv'),))[0], ACCESS_DENIED)
        requests = self.as_user(APPROVER, PATH, MANAGER, 'ListRequests')[1][0]
        self.assertEqual([r[2] for r in requests], ['ask'])
        self.assertTrue(json.loads(self.as_user(APPROVER, run.activity_path('ask'), ACTIVITY, 'GetRequest')[1][0])['canAnswer'])
        self.assertFalse(json.loads(self.as_user(0, run.activity_path('ask'), ACTIVITY, 'GetRequest')[1][0])['canAnswer'])
        self.assertEqual(self.as_user(APPROVER, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], '')
        self.assertEqual(run.wait_ended(), 'success')
        unnamed.approve('ask')
        self.assertEqual(unnamed.wait_ended(), 'success')

    def test_it_dies_while_it_is_asked(self):
        """Then it is not absent: nobody gets through by bringing it down."""
        run = self.on_hold()
        self.polkit.set_rules({'answer': 'hold'})
        callers = [Caller(self, uid, *call) for uid, call in ((OPERATOR, (run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,))),
                                                             (APPROVER, (run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))))]
        harness.wait_until(lambda: len(self.polkit.questions()) == 2, 'both questions')
        self.polkit.stop()
        for caller in callers:
            self.assertEqual(caller.end()[0], ACCESS_DENIED)
        self.assertEqual(run.get('State'), 'on-hold')


class Requests(PolkitCase):
    """What waits for whom"""

    def listed(self, uid):
        name, values = self.as_user(uid, PATH, MANAGER, 'ListRequests', interactive=True)
        self.assertEqual(name, '', values)
        return sorted((r[1].split('/')[4], r[2], r[3]) for r in values[0])

    def test_list(self):
        """S1.14: it reaches those who may answer it, and no others; S0.19: with the address of the very activity"""
        runs = [self.on_hold(uid=STARTER), self.on_hold('nobody-named'), self.on_hold('owned'), self.on_hold('input')]
        deploy, unnamed, owned, needs = ((str(r.id), a, kind) for r, a, kind in zip(runs, ('ask', 'ask', 'broken', 'use'), ('approval', 'approval', 'decision', 'input')))
        for uid, want in ((NOBODY, []), (MEMBER, []), (STARTER, [deploy]), (APPROVER, [deploy, owned, needs]), (OPERATOR, [deploy, unnamed, owned, needs]), (0, [deploy, unnamed, owned, needs])):
            self.assertEqual(self.listed(uid), sorted(want), uid)
        self.assertEqual({q['flags'] for q in self.polkit.questions()}, {0})
        self.polkit.set_rules({'uid': MEMBER, 'action': OPERATE, 'runbook': 'nobody-named', 'answer': 'yes'}, {'uid': APPROVER, 'action': ANSWER, 'answer': 'no'})
        self.assertEqual(self.listed(MEMBER), [unnamed])
        self.assertEqual(self.listed(APPROVER), [])

    def test_list_of_many_runbooks(self):
        """polkit is asked about 64 of them; what one has started oneself is shown in any case"""
        for i in range(66):
            self.daemon.write_runbook('many-%d' % i, NOBODY_NAMED)
            self.daemon.start_run('many-%d' % i)
        harness.wait_until(lambda: len(self.daemon.manager('ListRequests')) == 66, 'all requests')
        self.assertEqual(len(self.listed(OPERATOR)), 64)
        self.assertEqual(len(self.listed(0)), 66)

    def test_who_is_named(self):
        run = self.on_hold()
        self.assertEqual(list(run.activity_get('ask', 'Approvers')), ['daemon', 'group:mail'])
        run = self.on_hold('input')
        self.assertEqual(list(run.activity_get('use', 'Approvers')), ['daemon'])
        run = self.on_hold('owned')
        self.assertEqual(list(run.activity_get('broken', 'Approvers')), [])

    def test_group(self):
        """A member of a group that is named, as the bus knows the groups of the process."""
        run = self.on_hold()
        group = next(g.gr_gid for g in grp.getgrall() if g.gr_name == 'mail')
        code = ('import os,dbus.bus\nos.setgroups([%d])\nos.setgid(%d)\nos.setuid(%d)\nb=dbus.bus.BusConnection(%r)\nb.call_blocking(%r,%r,%r,"Approve","a{sv}",({},))'
                % (group, NOBODY, NOBODY, self.daemon.bus.address, NAME, run.activity_path('ask'), ACTIVITY))
        self.assertEqual(self.as_user(NOBODY, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], NOT_APPROVER)
        self.assertEqual(subprocess.run(['/usr/bin/python3', '-c', code], check=False).returncode, 0)
        self.assertEqual(run.wait_ended(), 'success')

    def test_nobody_named(self):
        """Those answer who may operate; and then polkit is asked about answers as well."""
        for uid, told in ((APPROVER, AUTHENTICATION_REQUIRED), (OPERATOR, '')):
            run = self.on_hold('nobody-named')
            self.assertEqual(self.as_user(uid, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], told)
        run = self.on_hold('nobody-named')
        self.polkit.set_rules({'uid': OPERATOR, 'action': ANSWER, 'answer': 'no'}, *self.RULES)
        self.assertEqual(self.as_user(OPERATOR, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], ACCESS_DENIED)

    def test_message_is_not_public(self):
        run = self.on_hold('nobody-named')
        self.assertEqual(self.as_user(NOBODY, run.activity_path('ask'), ACTIVITY, 'GetRequest')[0], AUTHENTICATION_REQUIRED)
        name, values = self.as_user(OPERATOR, run.activity_path('ask'), ACTIVITY, 'GetRequest')
        self.assertEqual((name, json.loads(values[0])['message']), ('', 'private'))

    def test_owner_is_told_of_a_failure(self):
        """S0.18: and may not decide about it by that"""
        run = self.on_hold('owned')
        self.assertEqual(self.as_user(APPROVER, run.activity_path('broken'), ACTIVITY, 'GetRequest')[0], '')
        self.assertEqual(self.as_user(APPROVER, run.activity_path('broken'), ACTIVITY, 'Retry', 'a{sv}', (NO_OPTIONS,))[0], AUTHENTICATION_REQUIRED)
        self.assertEqual(self.as_user(NOBODY, run.activity_path('broken'), ACTIVITY, 'GetRequest')[0], AUTHENTICATION_REQUIRED)

    def can_answer(self, uid, run, activity='ask'):
        name, values = self.as_user(uid, run.activity_path(activity), ACTIVITY, 'GetRequest', interactive=True)
        return json.loads(values[0])['canAnswer'] if not name else name

    def test_is_it_for_me(self):
        """S1.14: GetRequest says who is asked, by the same rules as an answer; nobody is asked for a password by that"""
        self.daemon.write_runbook('deploy-four-eyes', 'phases: [{name: main, activities: [{name: ask, approval: {approvers: [daemon, bin, sys], allowStarter: false, required: 2}}]}]')
        self.polkit.set_rules({'uid': STARTER, 'action': START, 'answer': 'yes'}, {'uid': NOBODY, 'action': READ, 'answer': 'yes'}, *RULES)
        run = self.on_hold('deploy-four-eyes', uid=STARTER)
        for uid, can in ((STARTER, False), (APPROVER, True), (OPERATOR, True), (NOBODY, False), (0, False), (MEMBER, AUTHENTICATION_REQUIRED)):
            self.assertEqual(self.can_answer(uid, run), can, uid)
            if uid != OPERATOR and can in (True, False):
                self.assertEqual(self.as_user(uid, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,))[0], '' if can else NOT_APPROVER, uid)
        self.assertEqual([self.can_answer(uid, run) for uid in (APPROVER, OPERATOR)], [False, True])
        self.polkit.set_rules({'uid': OPERATOR, 'action': ANSWER, 'answer': 'no'}, *RULES)
        self.assertEqual(self.can_answer(OPERATOR, run), False)
        self.assertEqual({q['flags'] for q in self.polkit.questions()}, {0})

    def test_is_it_for_operators(self):
        """Where nobody is named, and failures: for those who may operate; and for the owners and who has started it, unless polkit refuses them outright."""
        rules = ({'uid': STARTER, 'action': START, 'answer': 'yes'}, {'uid': NOBODY, 'action': READ, 'answer': 'yes'}, {'uid': APPROVER, 'action': READ, 'answer': 'yes'}, *RULES)
        self.polkit.set_rules(*rules)
        unnamed, owned = self.on_hold('nobody-named', uid=STARTER), self.on_hold('owned', uid=STARTER)
        for uid, can in ((STARTER, (True, True)), (APPROVER, (True, True)), (OPERATOR, (True, True)), (NOBODY, (True, False)), (0, (True, True))):
            self.assertEqual((self.can_answer(uid, unnamed), self.can_answer(uid, owned, 'broken')), can, uid)
        self.polkit.set_rules(*({'uid': uid, 'action': OPERATE, 'answer': 'no'} for uid in (STARTER, APPROVER, NOBODY)), {'uid': OPERATOR, 'action': ANSWER, 'answer': 'no'}, *rules)
        for uid, can in ((STARTER, (False, False)), (APPROVER, (False, False)), (OPERATOR, (False, True)), (NOBODY, (False, False))):
            self.assertEqual((self.can_answer(uid, unnamed), self.can_answer(uid, owned, 'broken')), can, uid)

    def test_override(self):
        """Root is no approver by being root; who may manage can say so, and it stays in the history."""
        override = dbus.Dictionary({'Override': True, 'Comment': 'nobody is there'}, signature='sv')
        for uid, told in ((0, ''), (NOBODY, AUTHENTICATION_REQUIRED), (APPROVER, AUTHENTICATION_REQUIRED), (MEMBER, '')):
            run = self.on_hold()
            self.polkit.set_rules({'uid': MEMBER, 'action': MANAGE, 'answer': 'yes'})
            self.assertEqual(self.as_user(uid, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (dbus.Dictionary({'Override': False}, signature='sv'),))[0],
                             '' if uid == APPROVER else NOT_APPROVER)
            if uid == APPROVER:
                continue
            self.assertEqual(self.as_user(uid, run.activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}', (override,))[0], told)
            if not told:
                self.assertEqual(run.wait_ended(), 'success')
                answer = run.events('request-answered')[0]
                self.assertEqual((answer['override'], answer['reason']), (True, 'nobody is there'))
        twice = (self.on_hold().activity_path('ask'), ACTIVITY, 'Approve', 'a{sv}')
        self.assertEqual(self.as_user(0, *twice, (dbus.Dictionary({'Override': 'yes'}, signature='sv'),))[0], NOT_APPROVER)


class Hostile(PolkitCase):
    """An unprivileged client tries every method and every object"""

    RULES = ()

    def calls(self, run):
        odd = (PATH, PATH + '/run', PATH + '/run/0', PATH + '/run/%d/activity' % run.id, PATH + '/run/4294967295', run.path, run.activity_path('ask'), run.activity_path('later'), '/',
               '/org/freedesktop/LogControl1')
        for path in odd:
            for interface, method, signature, args, _ in METHODS:
                yield path, interface, method, signature, args
                yield path, interface, method, 's', ('x',)
                yield path, interface, method, '', ()
                yield path, None, method, signature, args
            yield path, PROPERTIES, 'Set', 'ssv', (RUN, 'State', 'success')
            yield path, PROPERTIES, 'Set', 'ssv', ('org.freedesktop.LogControl1', 'LogLevel', 'emerg')
            yield path, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects', '', ()
            yield path, 'org.runbookd1.Other', 'Cancel', '', ()

    def test_everything(self):
        run = self.on_hold(note='inner-most')
        before = [tuple(e) for e in run.history()]
        calls = list(self.calls(run))
        results = harness.run_as(NOBODY, attempt_all, self.daemon.bus.address, calls)
        public = {m[1] for m in METHODS if 'nobody' in m[4]}
        for call, (name, value) in zip(calls, results):
            if not name:
                self.assertIn(call[2], public, call)
            self.assertNotIn('inner-most', str(value), call)
        self.assertEqual([tuple(e) for e in run.history()], before)
        self.assertEqual(run.get('State'), 'on-hold')
        self.assertEqual(len(self.daemon.manager('ListRuns', 'a{sv}', NO_OPTIONS)), run.id)
        self.assertNotEqual(self.daemon.get('/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1', 'LogLevel'), 'emerg')


def burst(address, path, uid, count, interactive):
    """The process of Limits.burst(): one line for each answer, until it is killed."""
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    connection = dbus.bus.BusConnection(address)
    for _ in range(int(count)):
        m = dbus.lowlevel.MethodCallMessage(NAME, path, RUN, 'Describe')
        m.set_allow_interactive_authorization(interactive == '1')
        connection.send_message_with_reply(m, lambda reply: print(reply.get_error_name() or '-', flush=True), timeout_s=harness.WAIT)
    GLib.MainLoop().run()


if __name__ == '__main__' and sys.argv[1:2] == ['--burst']:
    burst(*sys.argv[2:])
elif __name__ == '__main__':
    harness.main()
