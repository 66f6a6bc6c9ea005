"""From which login somebody calls, which behind su and sudo is not the user who calls: asked of logind, which a test plays, once for each caller that does more than to read. What is
known of it stays in the history (S0.10), and is a reason to refuse an approval that its starter may not give (S0.18); it never lets anybody do anything. Needs root, to be other users.

The people: starter (bin) starts; approver (daemon) and member (games) are on the list of the request; root."""
import contextlib
import json
import multiprocessing
import time

import dbus
import dbus.bus
import dbus.mainloop.glib
from gi.repository import GLib

import harness
import test_polkit
from fake_logind import CONTROL, LOGIND, ODD, SESSION_OF, FakeLogind, join
from fake_logind import PATH as LOGIND_PATH
from fake_polkit import AUTHORITY, POLKIT
from fake_polkit import CONTROL as POLKIT_CONTROL
from harness import ACTIVITY, MANAGER, NAME, PATH, PROPERTIES, RUN, wait_until
from test_polkit import APPROVER, MEMBER, NO_OPTIONS, NOT_APPROVER, OPERATE, START, STARTER, attempt

LOGIN_SEC = 2                                   # as in bus-login.h
CHECKS_MAX = 8

ASK = '''
phases:
  - name: main
    activities:
      - name: ask
        approval: {approvers: [daemon, games, bin, root], allowStarter: false}
'''

START_CALL = (PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', ('ask', NO_OPTIONS, NO_OPTIONS))


def from_login(address, session, calls):
    connection = dbus.bus.BusConnection(address)
    if session:
        join(connection, session)
    results = [attempt(connection, *call) for call in calls]
    return [(name, str(text) if name else test_polkit.plain(text)) for name, text in results]


def call_and_go(address, session):
    """The caller has left the bus before the answer comes."""
    connection = dbus.bus.BusConnection(address)
    join(connection, session)
    connection.call_async('org.runbookd1', PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', ('ask', NO_OPTIONS, NO_OPTIONS), None, None)
    connection.flush()
    while not json.loads(connection.call_blocking(LOGIND, LOGIND_PATH, CONTROL, 'Questions', '', ())):
        time.sleep(0.01)
    connection.close()


def list_and_start(address, session):
    """What the list says to somebody of whom logind is asked while polkit is asked about the list, both for the same connection: the numbers of the runs, whether logind had answered by then, and what
    the start says in the end."""
    connection, other = dbus.bus.BusConnection(address, mainloop=dbus.mainloop.glib.DBusGMainLoop()), dbus.bus.BusConnection(address)
    answers = {}

    def call(name, *what):
        connection.call_async(NAME, *what, lambda *values: answers.update({name: values}), lambda e: answers.update({name: e.get_dbus_name()}))
        connection.flush()

    def wait_for(name):
        while name not in answers:
            GLib.MainContext.default().iteration(True)

    def wait_for_question(*to):
        while not json.loads(other.call_blocking(*to, 'Questions', '', ())):
            time.sleep(0.01)

    join(other, session)
    call('list', PATH, MANAGER, 'ListRequests', '', ())
    wait_for_question(POLKIT, AUTHORITY, POLKIT_CONTROL)
    call('start', *START_CALL)
    wait_for_question(LOGIND, LOGIND_PATH, CONTROL)
    other.call_blocking(POLKIT, AUTHORITY, POLKIT_CONTROL, 'Release', 's', ('yes',))
    wait_for('list')
    first = 'start' not in answers
    other.call_blocking(LOGIND, LOGIND_PATH, CONTROL, 'Release', '', ())
    wait_for('start')
    return [int(request[0]) for request in answers['list'][0]], first, int(answers['start'][0])


class LoginCase(test_polkit.PolkitCase):
    RULES = tuple({'uid': uid, 'action': action, 'answer': 'yes'} for uid in (STARTER, MEMBER, APPROVER) for action in (START, OPERATE))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.logind = FakeLogind(cls.daemon.bus)
        cls.daemon.write_runbook('ask', ASK)

    @classmethod
    def tearDownClass(cls):
        cls.logind.close()
        super().tearDownClass()

    def call(self, uid, session, *calls):
        return harness.run_as(uid, from_login, self.daemon.bus.address, session, calls)

    def start(self, uid, session=None):
        (name, values), = self.call(uid, session, START_CALL)
        self.assertEqual(name, '', values)
        run = self.daemon.run(int(values[1].rsplit('/', 1)[1]))
        run.wait_state('on-hold')
        return run

    def approve(self, run, uid, session=None):
        return self.call(uid, session, (self.path_of(run, ACTIVITY), ACTIVITY, 'Approve', 'a{sv}', (NO_OPTIONS,)))[0]

    def can_answer(self, run, uid, session=None):
        (name, values), = self.call(uid, session, (self.path_of(run, ACTIVITY), ACTIVITY, 'GetRequest'))
        self.assertEqual(name, '', values)
        return json.loads(values[0])['canAnswer']

    @staticmethod
    def login(event):
        return {k: v for k, v in event.items() if k in ('session', 'loginUid', 'loginUser')}

    def started_from(self, run):
        return self.login(run.events('run-created')[0])


class Known(LoginCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.logind.start()

    def setUp(self):
        super().setUp()
        self.logind.set_sessions(**{'1': {'uid': STARTER}, 'c2': {'uid': APPROVER}, 'r_3-x': {'uid': 0}})

    def test_recorded(self):
        run = self.start(STARTER, '1')
        self.assertEqual(self.started_from(run), {'session': '1', 'loginUid': STARTER, 'loginUser': 'bin'})
        self.assertEqual(self.approve(run, APPROVER, 'c2')[0], '')
        self.assertEqual(run.wait_ended(), 'success')
        answer = run.events('request-answered')[0]
        self.assertEqual((answer['user'], self.login(answer)), ('daemon', {'session': 'c2', 'loginUid': APPROVER, 'loginUser': 'daemon'}))
        for event in run.history():
            if event[2] == 0xffffffff:
                self.assertEqual(self.login(json.loads(event[5])), {}, 'the engine is in no session')

    def test_every_act(self):
        """All that people do stands in the history with their login."""
        run = self.start(STARTER, '1')
        self.call(MEMBER, 'c2', (run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,)), (run.path, RUN, 'Resume', 'a{sv}', (NO_OPTIONS,)), (run.path, RUN, 'Cancel', 'a{sv}', (NO_OPTIONS,)))
        self.assertEqual(run.wait_ended(), 'cancelled')
        (name, values), = self.call(MEMBER, 'c2', (run.path, RUN, 'Rerun', 'a{sv}', (NO_OPTIONS,)))
        self.assertEqual(name, '', values)
        self.assertEqual(self.started_from(self.daemon.run(int(values[1].rsplit('/', 1)[1])))['loginUid'], APPROVER)
        for kind in ('run-paused', 'run-resumed', 'run-cancel'):
            event = run.events(kind)[0]
            self.assertEqual((event['user'], self.login(event)), ('games', {'session': 'c2', 'loginUid': APPROVER, 'loginUser': 'daemon'}), kind)

    def test_starter_behind_another_name(self):
        """Who has started it is refused also as somebody else, with the reason; another in a session of his own is not."""
        run = self.start(STARTER, '1')
        self.assertEqual([self.can_answer(run, *who) for who in ((APPROVER, '1'), (APPROVER, 'c2'), (STARTER, None), (STARTER, 'c2'))], [False, True, False, False])
        name, text = self.approve(run, APPROVER, '1')
        self.assertEqual(name, NOT_APPROVER)
        self.assertIn('logged in as bin', text)
        self.assertEqual(self.approve(run, STARTER)[0], NOT_APPROVER)
        self.assertEqual(self.approve(run, APPROVER, 'c2')[0], '')
        self.assertEqual(run.wait_ended(), 'success')

    def test_started_through_sudo(self):
        """By somebody in a session of the approver's: neither the account nor who has logged in may answer; also not after the daemon has died."""
        for restart in (False, True):
            run = self.start(STARTER, 'c2')
            if restart:
                self.daemon.kill9()
                self.daemon.start()
                run.wait_state('on-hold')
            for uid, session, says in ((STARTER, None, 'started the run'), (APPROVER, None, 'logged in as you'), (APPROVER, 'c2', 'logged in as you'), (MEMBER, 'c2', 'logged in as daemon'),
                                       (MEMBER, '1', 'logged in as bin')):
                name, text = self.approve(run, uid, session)
                self.assertEqual(name, NOT_APPROVER, (uid, session))
                self.assertIn(says, text)
            self.assertEqual(self.approve(run, MEMBER)[0], '')
            self.assertEqual(run.wait_ended(), 'success')

    def test_root_through_sudo(self):
        run = self.start(0, 'c2')
        self.assertEqual(self.started_from(run), {'session': 'c2', 'loginUid': APPROVER, 'loginUser': 'daemon'})
        self.assertEqual(self.approve(run, APPROVER)[0], NOT_APPROVER)
        self.assertEqual(self.approve(run, 0, '1')[0], NOT_APPROVER)
        self.assertEqual(self.approve(run, STARTER, 'r_3-x')[0], NOT_APPROVER)      # from a login as root
        self.assertEqual(self.approve(run, MEMBER, '1')[0], '')

    def test_grants_nothing(self):
        """A session of root's, or of an approver's, gives nobody their rights."""
        run = self.start(STARTER, '1')
        name, _ = self.approve(run, test_polkit.NOBODY, 'c2')
        self.assertEqual(name, NOT_APPROVER)
        for call in ((run.path, RUN, 'Pause', 'a{sv}', (NO_OPTIONS,)), (PATH, MANAGER, 'Reload', 'a{sv}', (NO_OPTIONS,))):
            (name, _), = self.call(test_polkit.NOBODY, 'r_3-x', call)
            self.assertEqual(name, harness.AUTHENTICATION_REQUIRED)
        (name, _), = self.call(test_polkit.NOBODY, '1', (run.path, RUN, 'Cancel', 'a{sv}', (NO_OPTIONS,)))
        self.assertEqual(name, harness.AUTHENTICATION_REQUIRED)

    def test_override(self):
        run = self.start(STARTER, '1')
        override = dbus.Dictionary({'Override': True}, signature='sv')
        (name, _), = self.call(0, '1', (self.path_of(run, ACTIVITY), ACTIVITY, 'Approve', 'a{sv}', (override,)))
        self.assertEqual(name, '')
        self.assertEqual(self.login(run.events('request-answered')[0])['loginUid'], STARTER)

    def test_in_no_session(self):
        """What a user's own service manager has started; and what is nobody's."""
        run = self.start(MEMBER, 'user:%d' % STARTER)
        self.assertEqual(self.started_from(run), {'loginUid': STARTER, 'loginUser': 'bin'})
        self.assertEqual(self.approve(run, STARTER)[0], NOT_APPROVER)
        self.assertEqual(self.started_from(self.start(MEMBER)), {})

    def test_asked_once_and_not_by_readers(self):
        self.daemon.write_runbook('busy', 'phases: [{name: p, activities: [{name: a, run: sleep 3600}]}]')
        busy = self.daemon.start_run('busy')            # where nothing runs, callers are forgotten and asked about again
        busy.wait_activity('a', 'running')
        self.logind.set_sessions(**{'1': {'uid': STARTER}})
        reads = ((PATH, MANAGER, 'ListRuns', 'a{sv}', (NO_OPTIONS,)), (PATH, PROPERTIES, 'GetAll', 's', (MANAGER,)), (PATH, MANAGER, 'ListRequests'))
        run = self.start(STARTER, '1')
        self.assertEqual(len(self.logind.questions(SESSION_OF)), 1)
        self.assertEqual([name for name, _ in self.call(STARTER, '1', *reads, (run.path, RUN, 'Describe'), (run.path, RUN, 'GetHistory', 'uu', (0, 0)))], [''] * 5)
        self.assertEqual(len(self.logind.questions()), 2)
        self.assertEqual([name for name, _ in self.call(STARTER, '1', *reads, START_CALL, *reads, START_CALL, START_CALL)], [''] * 9)
        self.assertEqual(len(self.logind.questions(SESSION_OF)), 2)
        self.assertTrue(all(not_started for _, _, not_started in self.logind.questions()), 'logind would have been started')


class Odd(LoginCase):
    """A logind that says odd things, late, or nothing: the login is not known, and nobody is refused for it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.logind.start()

    def test_garbage(self):
        odd = (*ODD, 'error', 'path-is-text', 'other-path', 'no-object', 'no-dictionary')
        self.logind.set_sessions(**{'s%d' % i: {'uid': STARTER, 'odd': name} for i, name in enumerate(odd)})
        for i, name in enumerate(odd):
            with self.subTest(odd=name):
                run = self.start(STARTER, 's%d' % i)
                self.assertEqual(self.started_from(run), {})
                self.assertEqual(self.approve(run, STARTER)[0], NOT_APPROVER, 'the uid still counts')
                self.assertEqual(self.approve(run, APPROVER, 's%d' % i)[0], '')

    def test_hangs(self):
        """The caller waits for a moment; others don't, and the daemon doesn't; one that has no more time is not asked the second question."""
        self.logind.set_sessions(h={'uid': STARTER, 'odd': 'hang'}, later={'uid': STARTER, 'odd': 'hang-later'}, good={'uid': STARTER})
        for session in ('h', 'later'):
            pool = multiprocessing.get_context('fork').Process(target=self.call, args=(STARTER, session, START_CALL))
            asked = len(self.logind.questions())
            pool.start()
            wait_until(lambda n=asked: len(self.logind.questions()) > n, 'the question')
            run = self.start(STARTER, 'good')
            self.assertEqual(self.started_from(run)['session'], 'good')
            self.assertTrue(pool.is_alive(), 'it did not wait for logind')
            pool.join(harness.WAIT)
            self.assertEqual(pool.exitcode, 0)
            new = self.daemon.run(run.id + 1)
            self.assertEqual(self.started_from(new), {})
        self.logind.release()                   # answers that nobody waits for any more
        self.assertEqual(self.started_from(self.start(STARTER, 'good'))['session'], 'good')

    def test_many_while_it_hangs(self):
        """More callers than may be asked about at once wait no longer than one does."""
        self.logind.set_sessions(h={'uid': STARTER, 'odd': 'hang'})
        processes = [multiprocessing.get_context('fork').Process(target=self.call, args=(STARTER, 'h', START_CALL)) for _ in range(3 * CHECKS_MAX)]
        before = len(self.daemon.manager('ListRuns', 'a{sv}', NO_OPTIONS))
        for p in processes:
            p.start()
        wait_until(lambda: len(self.logind.questions(SESSION_OF)) == CHECKS_MAX, 'the questions')
        for p in processes:
            p.join(harness.WAIT)
            self.assertEqual(p.exitcode, 0)
        self.assertEqual(len(self.daemon.manager('ListRuns', 'a{sv}', NO_OPTIONS)), before + len(processes))

    def test_caller_has_gone(self):
        """Before logind answers, and before it fails to."""
        self.logind.set_sessions(h={'uid': STARTER, 'odd': 'hang'}, good={'uid': STARTER})
        harness.run_as(STARTER, call_and_go, self.daemon.bus.address, 'h')
        wait_until(lambda: self.logind.questions(SESSION_OF), 'the question')
        self.logind.release()
        self.assertEqual(self.started_from(self.start(STARTER, 'good'))['session'], 'good')
        self.assertIsNone(self.daemon.process.poll())

    def test_polkit_answers_first(self):
        """Who calls is known while logind is still asked: what waited for polkit alone goes on."""
        run = self.start(STARTER)
        self.logind.set_sessions(h={'uid': MEMBER, 'odd': 'hang'})
        self.polkit.set_rules({'uid': MEMBER, 'action': test_polkit.READ, 'answer': 'hold'}, *self.RULES)
        listed, first, started = harness.run_as(MEMBER, list_and_start, self.daemon.bus.address, 'h')
        self.assertTrue(first, 'it waited for logind')
        self.assertIn(run.id, listed)
        self.assertEqual(self.started_from(self.daemon.run(started))['session'], 'h')

    def test_goes_away_and_comes_back(self):
        self.logind.set_sessions(h={'uid': STARTER, 'odd': 'hang'})
        process = multiprocessing.get_context('fork').Process(target=self.call, args=(STARTER, 'h', START_CALL))
        process.start()
        wait_until(lambda: self.logind.questions(SESSION_OF), 'the question')
        self.logind.stop()
        process.join(harness.WAIT)
        self.assertEqual(process.exitcode, 0)
        self.assertEqual(self.started_from(self.start(STARTER)), {})
        self.logind.start()
        self.logind.set_sessions(good={'uid': STARTER})
        self.assertEqual(self.started_from(self.start(STARTER, 'good'))['session'], 'good')

    def test_daemon_stops_while_it_hangs(self):
        self.logind.set_sessions(h={'uid': STARTER, 'odd': 'hang'})
        process = multiprocessing.get_context('fork').Process(target=self.refused, args=('h',))
        process.start()
        wait_until(lambda: self.logind.questions(SESSION_OF), 'the question')
        self.assertEqual(self.daemon.stop(), 0)
        process.join(harness.WAIT)
        self.daemon.start()

    def refused(self, session):
        with contextlib.suppress(RuntimeError):
            self.call(STARTER, session, START_CALL)


class Absent(LoginCase):
    """Without logind only the uid counts."""

    def test_uid_only(self):
        run = self.start(STARTER)
        self.assertEqual(self.started_from(run), {})
        self.assertEqual(self.approve(run, STARTER)[0], NOT_APPROVER)
        self.assertEqual(self.approve(run, APPROVER)[0], '')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.login(run.events('request-answered')[0]), {})


class Own(harness.TestCase):
    """On a user's own bus nobody is asked, whoever owns logind's name there."""

    def test_nobody_is_asked(self):
        logind = FakeLogind(self.daemon.bus).start()
        try:
            logind.set_sessions(x={'uid': 0})
            self.daemon.write_runbook('hello', harness.HELLO)
            join(self.daemon.connection, 'x')
            run = self.daemon.start_run('hello')
            self.assertEqual(run.wait_ended(), 'success')
            self.assertEqual((logind.questions(), LoginCase.login(run.events('run-created')[0])), ([], {}))
        finally:
            logind.close()


if __name__ == '__main__':
    harness.main()
