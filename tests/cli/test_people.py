"""A person is asked: who is meant, what is typed, what is asked on the terminal, who did what, and how a password is asked for."""

import json
import os

from cli_harness import TestCase, Terminal, main, program, wait_until
from fake_daemon import ASKED, AUDITED, COUNTED, FORM, HOSTILE, ME, MY_GROUP, T0, WANTING
from test_output import squeezed

PATH = '/org/runbookd1/run/%d/activity/%s'
ERROR = 'org.runbookd1.Error.'
DENIED = 'org.freedesktop.DBus.Error.AccessDenied'
ASK_FIRST = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'
HISTORY_RUNS_MAX = 100                          # as in ctl-history.c
NOBODY = 65534


class Base(TestCase):
    def setUp(self):
        self.fake.auto()
        self.fake.test('People')
        self.fake.calls()

    def sent(self, member, *args, **kwargs):
        self.fake.calls()
        text = self.ok(*args, **kwargs)
        call, = self.fake.calls(member)
        return text, call['path'], call['args']

    def end(self, t, run):
        """The run ends, and so does what looks at it."""
        self.fake.beat(run, 'end')
        self.assertEqual(t.wait_exit(), 0)

    @staticmethod
    def leave(t):
        t.type('C-c')
        t.wait_exit()


class Provide(Base):
    """S0.17, S1.13: input, by its fields' types."""

    def test_a_form(self):
        text, path, args = self.sent('Provide', 'provide', '%d/form' % ASKED, 'note=7', 'level=7', '-m', 'as agreed')
        self.assertEqual((text, path, args), ('%d/form has got its input.\n' % ASKED, PATH % (ASKED, 'form'), [{'Comment': 'as agreed', 'Fields': {'note': '7', 'level': 7}}]))
        self.assertEqual(self.sent('Provide', 'provide', '%d/form' % ASKED, 'note=a=b')[2], [{'Fields': {'note': 'a=b'}}])
        self.assertEqual(self.sent('Provide', 'provide', '%d/form' % ASKED)[2], [{}])           # all may have defaults

    def test_inputs_of_the_run(self):
        self.assertEqual(self.sent('Provide', 'provide', '%d/build' % WANTING, 'version=2', 'count=2')[2], [{'Fields': {'version': '2', 'count': 2}}])

    def test_the_one_that_waits_need_not_be_named(self):
        for run, activity in ((ASKED, 'form'), (WANTING, 'build')):
            text, path, _ = self.sent('Provide', 'provide', str(run), 'note=x')
            self.assertEqual((text.split()[0], path), ('%d/%s' % (run, activity), PATH % (run, activity)))
        self.assertIn('No activity of run 2 waits for input.', self.fails(1, 'provide', '2', 'a=b'))
        self.fake.test('Set', 'us', ASKED, json.dumps({'activities': [dict(name=n, phase='go', state='on-hold', waitingFor='input', attempts=[], nextRetryAt=0) for n in ('a', 'b')]}))
        self.assertEqual(self.fails(64, 'provide', str(ASKED), 'a=b'), 'Which activity? 2 wait for input: %d/a, %d/b\n' % (ASKED, ASKED))

    def test_a_file(self):
        self.assertEqual(self.sent('Provide', 'provide', '%d/form' % ASKED, '-I', '-', 'level=4', stdin=b'note: from a file\nlevel: 3\n')[2],
                         [{'Fields': {'note': 'from a file', 'level': 4}}])

    def test_wrong_values_are_said_before_they_are_sent(self):
        self.assertIn('"level" wants a value of type integer', self.fails(1, 'provide', '%d/form' % ASKED, 'level=many'))
        self.assertEqual(self.fake.calls('Provide'), [])
        self.assertEqual(self.fails(1, 'provide', '%d/form' % ASKED, 'note=wrong'), 'it must not be "wrong"\n')

    def test_who_may_not_read_sends_texts(self):
        """The daemon reads them by their types."""
        self.fake.refuse('GetRequest', DENIED, 'No.')
        self.assertEqual(self.sent('Provide', 'provide', '%d/form' % ASKED, 'level=7', '--override')[2], [{'Override': True, 'Fields': {'level': '7'}}])

    def test_quiet_and_json_say_nothing(self):
        for option in ('-q', '--json=short'):
            self.assertEqual(self.ok(option, 'provide', str(WANTING), 'version=1'), '')

    def test_usage(self):
        for args in (('provide',), ('provide', 'x', 'a=b'), ('provide', '1/a/b', 'a=b'), ('provide', '1/a', 'b'), ('provide', '1/a', '=b'), ('provide', '1/a', '-i', 'a=b'),
                     ('approve', '1/a', 'a=b'), ('approve', '1'), ('reject', '1/a', '-i', 'a=b'), ('retry', '1', '--override'), ('list', '--all'), ('list', '--who', 'x'), ('history',)):
            with self.subTest(args=args):
                self.assertNotEqual(self.fails(64, *args), '')
        self.assertIn('has no activity', self.fails(1, 'provide', '%d/frm' % ASKED, 'a=b'))


class Override(Base):
    def test_it_is_sent(self):
        for verb, member in (('approve', 'Approve'), ('reject', 'Reject')):
            self.assertEqual(self.sent(member, verb, '%d/others' % ASKED, '--override', '-m', 'nobody is here')[2], [{'Comment': 'nobody is here', 'Override': True}])

    def test_answering_for_others_says_who_is_asked(self):
        for args, member in ((('approve',), 'Approve'), (('reject',), 'Reject')):
            self.fake.refuse(member, ERROR + 'NotApprover', 'You are not among the approvers.')
            self.assertEqual(self.fails(1, *args, '%d/owned' % COUNTED), 'You are not among the approvers.\nWhoever may manage runbookd can answer in their place: with --override.\n'
                             'Who is asked: olga, group:release\n')
        self.fake.refuse('Approve', ERROR + 'NotApprover', 'No.')
        self.assertNotIn('--override', self.fails(1, 'approve', '%d/owned' % COUNTED, '--override'))


class Inbox(Base):
    """S1.14: what waits for me, and what to type."""

    def mine(self, *args, **kwargs):
        return ['%d/%s' % (q['run'], q['activity']) for q in json.loads(self.ok('--json=short', 'inbox', *args, **kwargs)) if q['run'] >= ASKED]

    def test_mine(self):
        self.assertEqual(self.mine(), ['%d/%s' % (ASKED, n) for n in ('name', 'user', 'group', 'anybody', 'form')] + ['%d/build' % WANTING])

    def test_everybodys(self):
        self.assertEqual(self.mine('--all'), ['%d/%s' % (ASKED, n) for n in ('name', 'user', 'group', 'others', 'anybody', 'given', 'own', 'form')] + ['%d/%s' % (COUNTED, n)
                                                                                                                           for n in ('two', 'three', 'owned')] + ['%d/build' % WANTING])

    def test_golden(self):
        self.golden('inbox-mine', squeezed(self.ok('inbox').replace('group:' + MY_GROUP, 'group:MINE').replace(ME, 'ME')))

    def test_the_commands_are_in_the_json(self):
        q, = [q for q in json.loads(self.ok('--json=short', 'inbox')) if q['run'] == WANTING]
        self.assertEqual(q['commands'], ['runbookctl --user provide %d/build version=VALUE count=VALUE' % WANTING])

    def forget(self, *runs):
        for run in runs:
            self.fake.test('Forget', 'u', run)
        self.addCleanup(self.fake.test, 'Remember')

    def test_nothing(self):
        self.forget(3, ASKED, COUNTED, WANTING)
        self.assertEqual(self.ok('--no-legend', 'inbox'), '')
        self.assertIn('Nothing waits for you.\n1 request waits for others: runbookctl --user inbox --all\n', self.ok('inbox'))
        self.assertNotIn('runbookctl', self.ok('-q', 'inbox', '--all'))
        self.forget(2)
        self.assertIn('Nobody is waited for.\n', self.ok('inbox', '--all'))
        self.assertNotIn('others', self.ok('inbox'))

    def test_refused(self):
        self.fake.refuse('ListRequests', ERROR + 'StorageUnavailable', 'Not now.')
        self.assertEqual(self.fails(1, 'inbox'), 'Not now.\n')

    def test_answered_meanwhile(self):
        """Between the list and the closer look: nobody is told to answer that, and it waits for nobody else."""
        self.forget(2, 3)
        for name in ('WrongState', 'NoSuchRun'):
            self.fake.refuse('GetRequest', ERROR + name, 'It waits for nobody.')
            self.assertEqual(self.mine('--all')[0], '%d/user' % ASKED)
        self.forget(ASKED, COUNTED)
        self.fake.refuse('GetRequest', 'org.freedesktop.DBus.Error.UnknownObject', 'It is no more.')
        self.assertEqual(self.ok('inbox'), 'Nothing waits for you.\n')

    def test_who_may_not_read_sees_the_row(self):
        self.fake.refuse('GetRequest', DENIED, 'No.')
        self.assertIn('%d/name' % ASKED, self.mine())


class Shown(Base):
    """Who can act, how many have, until when."""

    def test_status_and_explain(self):
        for name, run in (('counted', COUNTED), ('wanting', WANTING)):
            self.golden('status-' + name, squeezed(self.ok('status', str(run))))
        text = ' '.join(self.ok('explain', str(COUNTED)).split())
        for words in ('Who can act: alice, bob, group:qa. 1 of 2 have approved: alice.', 'There is time until 2023-11-15', '2 of 3 have approved: alice, 4242.', 'Who can act: olga, group:release.'):
            self.assertIn(words, text)
        self.assertEqual([e['who'] for e in json.loads(self.ok('--json=short', 'explain', str(COUNTED)))], [['alice', 'bob', 'group:qa'], ['alice'], ['olga', 'group:release']])

    def test_who_may_not_read_sees_the_names(self):
        self.fake.refuse('GetRequest', DENIED, 'No.')
        self.assertIn('two (approval); from alice, bob, group:qa\n', self.ok('status', '%d/two' % COUNTED))


class Who(Base):
    """history --who (S0.19, S2.3)."""

    def test_a_run(self):
        self.golden('history-audited', self.ok('history', str(AUDITED)))
        self.assertEqual([e['type'] for e in json.loads(self.ok('--json=short', 'history', str(AUDITED), '--who', 'bob'))], ['inputs-changed'])
        for who in ('1001', 'bob'):
            line, = self.ok('--no-legend', 'history', str(AUDITED), '--who=' + who).splitlines()
            self.assertIn('bob (1001)', line)
            self.assertIn('version: "1.2" → "1.3"; token: "***" → "***"', line)
        self.assertIn('approve; nobody is here; although not asked; note: "fine"; level: 3', self.ok('history', str(AUDITED), '--who', '0'))
        self.assertIn(' 4242 ', self.ok('history', str(AUDITED), '--who', '4242'))      # one without a name
        for who in ('nobody-of-this-name', '1', 'bo', 'runbookd', '4294967295'):
            self.assertEqual(json.loads(self.ok('--json=short', 'history', str(AUDITED), '--who', who)), [])

    def test_login(self):
        """Behind another name there is who had logged in: both are found, and the session is said where one is known (S0.10)."""
        for who in ('carol', '1002'):
            lines = self.ok('--no-legend', 'history', str(AUDITED), '--who', who).splitlines()
            self.assertEqual([' '.join(line.split()[2:6]) for line in lines], ['carol (as root, 0)', '1002 (as 4242) cancel'][:len(lines)])
            self.assertEqual(len(lines), 1 if who == 'carol' else 2)
            self.assertEqual(lines[0].split()[6], '12')
        line, = self.ok('--no-legend', 'history', str(AUDITED), '--who', 'dave').splitlines()
        self.assertEqual(line.split()[2:5], ['dave', '(1003)', 'c7'])
        data = json.loads(self.ok('--json=short', 'history', str(AUDITED), '--who', 'carol'))[0]['data']
        self.assertEqual((data['session'], data['loginUid'], data['loginUser']), ('12', 1002, 'carol'))

    def test_all_runs(self):
        events = json.loads(self.ok('--json=short', 'history', '--who', 'alice'))
        self.assertGreater(len({e['run'] for e in events}), 4)
        self.assertEqual(events, sorted(events, key=lambda e: (e['at'], e['run'], e['seq'])))
        self.assertEqual({e['user'] for e in events}, {'alice'})
        self.assertTrue(self.ok('history', '--who', 'alice').startswith('RUN TIME'))
        self.assertEqual(len(self.ok('--no-legend', 'history', '--who', 'alice', '-n', '2').splitlines()), 2)

    def test_what_cannot_be_read_is_counted(self):
        self.fake.refuse('GetHistory', DENIED, 'No.')
        p = self.fake.ctl('history', '--who', 'bob')
        self.assertEqual((p.returncode, p.stderr.decode()), (0, "The history of 1 run can't be read by you and is left out.\n"))

    def test_runs_that_are_looked_through(self):
        """HISTORY_RUNS_MAX: the newest."""
        source = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'src', 'ctl', 'ctl-history.c')
        with open(source, encoding='utf-8') as f:
            self.assertIn('#define HISTORY_RUNS_MAX %du' % HISTORY_RUNS_MAX, f.read())
        self.fake.test('AddRuns', 'us', HISTORY_RUNS_MAX, 'success')
        runs = {e['run'] for e in json.loads(self.ok('--json=short', 'history', '--who', 'alice'))}
        self.assertEqual(len(runs), HISTORY_RUNS_MAX)
        self.assertNotIn(AUDITED, runs)


class Follow(Base):
    def start(self, *beat):
        before = self.fake.last()
        t = self.terminal('start', 'ship', '--follow')
        run = wait_until(lambda: self.fake.last() > before and self.fake.last(), 'the start')
        self.fake.beat(run, *beat)
        return t, run

    def asked(self, beat, *texts):
        t, run = self.start(*beat)
        t.wait_for(*texts)
        return t, run

    def test_a_form(self):
        t, run = self.asked(['form'], 'build ▸ dist wants input', 'A form', 'Fill it in.', '[p]rovide, [s]kip?')
        t.type('p', 'Enter')
        t.wait_for('note (string; what to say):')
        t.type('Enter')
        t.wait_for('"note" is required.')
        t.type('wrong', 'Enter')
        t.wait_for('level (integer) [3]:')
        t.type('many', 'Enter')
        t.wait_for('"level" wants a value of type integer')
        t.type('4', 'Enter')
        t.wait_for('it must not be "wrong"')
        t.type('p', 'Enter')
        t.wait_for('note (string; what to say) [wrong]:')
        t.type('better', 'Enter')
        t.wait_for('level (integer) [4]:')
        t.type('Enter')
        t.wait_for('answered: provide')
        self.assertEqual([c['args'] for c in self.fake.calls('Provide')], [[{'OpenedAt': T0, 'Fields': {'note': note, 'level': 4}}] for note in ('wrong', 'better')])
        self.end(t, run)

    def test_inputs_of_the_run(self):
        t, run = self.asked(['wants'], 'build ▸ dist wants input', '[p]rovide')
        t.type('provide', 'Enter')
        t.wait_for('version (string; of the release):')
        t.type('2', 'Enter')
        t.wait_for('count (integer):')
        t.type('2', 'Enter')
        t.wait_for('inputs changed')
        self.assertEqual([c['args'] for c in self.fake.calls('Provide')], [[{'OpenedAt': T0, 'Fields': {'version': '2', 'count': 2}}]])
        self.end(t, run)

    def test_given_elsewhere(self):
        t, run = self.asked(['wants'], '[p]rovide')
        self.fake.beat(run, 'other_input')              # of no interest
        t.wait_for('channel: "beta"')
        self.assertNotIn('settled', t.screen())
        self.fake.beat(run, 'provided')
        t.wait_for('That is settled')
        self.end(t, run)

    def test_skip(self):
        t, run = self.asked(['wants'], '[p]rovide')
        t.type('s', 'Enter')
        t.wait_for('Later: runbookctl --user provide %d/dist NAME=VALUE' % run)
        self.end(t, run)

    def test_others_are_not_asked_here(self):
        t, run = self.asked(['hold', 'Sign-off', 'no-such-user-here'], 'sign-off ▸ qa  waits for no-such-user-here (approval)', 'runbookctl --user approve')
        self.assertNotIn('[s]kip', t.screen())
        self.end(t, run)

    def test_nor_is_who_may_not_answer(self):
        """He is named, and the daemon says that he can't: who started it may not."""
        t, run = self.asked(['hold', 'Sign-off', ME, 'own'], 'sign-off ▸ qa  waits for %s (approval)' % ME)
        self.assertNotIn('[s]kip', t.screen())
        self.end(t, run)

    def test_a_hostile_form(self):
        t, _ = self.start('hold', HOSTILE, HOSTILE)
        screen = t.wait_for('waits for evil')
        self.assertNotIn('\x1b', screen)
        self.leave(t)


class Watch(Base):
    def start(self, *beats):
        self.fake.auto(*beats)
        self.ok('start', 'ship')
        self.fake.calls()
        return self.fake.last()

    def watched(self, *beats):
        run = self.start(*beats)
        return self.terminal('watch', str(run)), run

    def test_enter_asks_for_input(self):
        t, run = self.watched(['form'])
        t.wait_for('◆ A form  runbookctl --user provide %d/dist NAME=VALUE' % run, 'Enter: answer here')
        t.type('Enter')
        t.wait_for('%d/dist wants input' % run)
        t.type('p', 'Enter', 'x', 'Enter', 'Enter')
        wait_until(lambda: self.fake.calls('Provide'), 'the answer')
        self.end(t, run)

    def test_what_is_for_others_is_not_asked(self):
        """The list doesn't tell that; once it is known, it is not offered."""
        t, run = self.watched(['hold', 'Sign-off', ME, 'own'])
        t.wait_for('Sign-off', 'Enter: answer here')
        t.type('Enter')
        t.wait_for('Sign-off', gone=('Enter: answer here',))
        self.assertNotIn('[s]kip', t.screen())
        self.end(t, run)

    def test_what_is_put_off_does_not_stand_before_the_rest(self):
        t = self.terminal('watch', str(ASKED), width=120, height=50)
        for name in ('name', 'user', 'group', 'anybody', 'form', 'name'):       # others: not asked; nor given and own, as the daemon says then
            t.wait_for('Enter: answer here')
            t.type('Enter')
            t.wait_for('%d/%s wants' % (ASKED, name), '[s]kip?')
            t.type('s', 'Enter')
            t.wait_for('Later:')
        self.leave(t)

    def test_others_are_not_asked_here(self):
        t, _ = self.watched(['hold', 'Sign-off', 'no-such-user-here'])
        t.wait_for('◆ Sign-off')
        self.assertNotIn('Enter:', t.screen())
        self.leave(t)

    def test_only_the_first_look_may_ask_for_a_password(self):
        """What looks each second would ask each second."""
        run = self.start(['work'])
        p = self.fake.popen('watch', str(run))
        self.addCleanup(p.kill)
        wait_until(lambda: len(self.fake.questions('Describe')) >= 3, 'some looks')
        self.assertEqual(self.fake.questions('Describe')[:3], [True, False, False])
        p.kill()


class Refused(Base):
    """Each refusal comes with what can be done about it, on this side (S5.5)."""

    def refusal(self, error, *args, **kwargs):
        self.fake.refuse('Reload', error, 'No.')
        return self.fails(1, 'reload', *args, **kwargs)

    def system(self, *args):
        return self.refusal(*args, user=False, DBUS_SYSTEM_BUS_ADDRESS=self.fake.bus.address)

    def test_what_is_advised(self):
        self.assertEqual(self.refusal(DENIED), 'No.\n')                # one's own daemon has no polkit
        self.assertEqual(self.system(DENIED), 'No.\n' + ('' if os.getuid() == 0 else 'Do it as root, or let a rule of polkit allow it: see polkit(8).\n'))
        self.assertIn('Standard input is no terminal, so nobody can be asked for a password here.', self.system(ASK_FIRST))
        self.assertIn('Leave out --no-ask-password, so that a password can be asked for.', self.refusal(ASK_FIRST, '--no-ask-password'))
        self.assertEqual(self.refusal(ERROR + 'TooMany'), 'No.\n')     # the daemon says what to do


class Agent(Base):
    """pkttyagent: only where it is of use, with a terminal, on the system bus, and not for root."""

    AGENT = '''#!/bin/sh
echo "$@" > %(path)s.args
[ -z "$RELUCTANT" ] || exit 1
eval "exec $4>&-"
echo ready >> %(path)s.args
trap 'echo ended >> %(path)s.args; exit 0' TERM
while :; do sleep 0.1; done
'''

    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest('becomes another user')
        self.directory = os.path.join(self.fake.scratch, 'agent-%s' % self.id().rsplit('.', 1)[1])
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o777)
        self.path = os.path.join(self.directory, 'pkttyagent')
        with open(self.path, 'w', encoding='ascii') as f:
            f.write(self.AGENT % {'path': self.path})
        os.chmod(self.path, 0o755)

    def reload(self, *args, uid=NOBODY, refuse=ASK_FIRST, stdin='', path=None, **env):
        """On a terminal, as another user; the exit status and the screen."""
        if refuse:
            self.fake.refuse('Reload', refuse, 'This needs authentication.')
        command = ['setpriv', '--reuid=%d' % uid, '--regid=%d' % uid, '--clear-groups', program('runbookctl', 'ctl'), 'reload', *args]
        if stdin:
            command = ['sh', '-c', ' '.join(command) + ' ' + stdin]
        env = self.fake.environment(DBUS_SYSTEM_BUS_ADDRESS=self.fake.bus.address, PATH=(path or self.directory) + ':' + os.environ['PATH'], **env)
        t = Terminal(command, env)
        self.addCleanup(t.close)
        return t.wait_exit(), t.screen()

    def args(self):
        if not os.path.exists(self.path + '.args'):
            return []
        with open(self.path + '.args', encoding='ascii') as f:
            return f.read().splitlines()

    def test_it_is_started_and_the_call_made_again(self):
        self.assertEqual(self.reload()[0], 0)
        first, *rest = self.args()
        with open('/proc/self/cgroup', encoding='ascii') as f:
            session = 'session-' in f.read()                    # outside of one polkit passes fallbacks over
        self.assertRegex(first, r'^--process [0-9]+ --notify-fd [0-9]+%s$' % (' --fallback' if session else ''))
        self.assertEqual(rest, ['ready', 'ended'])              # and closed at the end
        self.assertEqual([c['args'] for c in self.fake.calls('Reload')], [[{}], [{}]])

    def test_it_is_not_started_where_it_is_of_no_use(self):
        for args, more in ((('--no-ask-password',), {}), ((), {'uid': 0}), ((), {'stdin': '</dev/null'}), ((), {'refuse': DENIED}),
                           (('--user',), {'DBUS_SESSION_BUS_ADDRESS': self.fake.bus.address})):
            with self.subTest(args=args, more=more):
                self.assertEqual(self.reload(*args, **more)[0], 1)
                self.assertEqual(self.args(), [])
        self.assertEqual(self.reload(refuse=None)[0], 0)        # nobody wanted a password
        self.assertEqual(self.args(), [])

    def test_one_that_does_not_start(self):
        status, screen = self.reload(RELUCTANT='1')
        self.assertEqual(status, 0)                             # the call is made again; here nobody refuses it twice
        self.assertEqual(len(self.args()), 1)
        self.assertNotIn('pkttyagent', screen)

    def test_there_is_none(self):
        os.unlink(self.path)
        tools = os.path.join(self.directory, 'tools')
        os.mkdir(tools)
        env = os.environ['PATH']
        os.environ['PATH'] = tools
        for tool in ('sh', 'setpriv', 'stty', 'sleep', 'tmux'):
            os.symlink(next(p for p in (os.path.join(d, tool) for d in env.split(':')) if os.path.exists(p)), os.path.join(tools, tool))
        self.addCleanup(os.environ.__setitem__, 'PATH', env)
        status, screen = self.reload()
        self.assertEqual(status, 1)
        self.assertIn('This needs authentication.', screen)
        self.assertIn('install pkttyagent', ' '.join(screen.split()))


class Names(Base):
    def words(self, *args):
        p = self.fake.ctl('__complete', '--', '--user', *args, user=False)
        self.assertEqual((p.returncode, p.stderr), (0, b''))
        return [line.split('\t')[0] for line in p.stdout.decode().splitlines()]

    def test_provide(self):
        self.assertEqual(self.words('provide', ''), ['%d/form' % ASKED, '%d/build' % WANTING])
        self.assertEqual(self.words('provide', '%d/form' % ASKED, ''), [f['name'] + '=' for f in FORM])
        self.assertEqual(self.words('provide', '%d/build' % WANTING, 'version=1', 'c'), ['count='])
        for run in ('99/x', 'x', str(WANTING), '%d/' % WANTING):
            self.assertEqual(self.words('provide', run, ''), [])
        self.assertIn('--override', self.words('provide', '--'))
        self.assertEqual(self.words('inbox', '--a'), ['--all'])


if __name__ == '__main__':
    main()
