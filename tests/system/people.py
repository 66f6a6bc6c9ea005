"""People before the installed program: in sessions of logind, with the agent that their desktop starts, and on terminals where polkit asks for a password. bob has no session,
mary is the administrator whose password counts, carol may do nothing."""

import contextlib
import json
import os
import pty
import select
import subprocess
import time

from container import LIMIT, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PASSWORD = 'right horse'
START = ('Manager', 'StartRun', 'sa{sv}a{sv}')

ASKS = '''
owners: [root]
phases:
  - name: all
    activities:
      - name: sign
        approval: {title: Ship it?, message: All is well., approvers: [%s]}
      - name: go
        run: echo shipped
'''

FAILS = '''
owners: [alice]
phases:
  - name: all
    activities:
      - name: disk
        failurePolicy: hold
        run: echo the disk is full; exit 3
'''

WHICH_KEY = '''
phases:
  - name: all
    activities:
      - name: key
        approval: {title: Which key?, approvers: [alice], fields: {key: {type: string, required: true}}}
'''

HELLO = '''
phases:
  - name: greet
    activities:
      - name: hello
        run: echo hello
'''

# A desktop's session target: it pulls in graphical-session.target, and that the agent, as it was installed.
DESKTOP = '[Unit]\nDescription=A desktop\nBindsTo=graphical-session.target\nBefore=graphical-session.target\n'


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(got, wanted, what):
    check(got == wanted, '%s is %r, not %r' % (what, got, wanted))


def make_user(s, name, *groups):
    if s.c.call('id', name).returncode != 0:
        s.c.run('useradd', '--create-home', '--shell', '/bin/bash', name)
    for group in groups:
        s.c.run('usermod', '--append', '--groups', group, name)
    return int(s.c.run('id', '-u', name))


def make_administrator(s):
    """polkit of Debian takes the members of sudo for administrators."""
    make_user(s, 'mary', 'sudo')
    done = s.c.call('chpasswd', text='mary:%s\n' % PASSWORD)
    same(done.returncode, 0, 'the status of chpasswd: ' + done.stdout)


class Session:
    """A session of logind, with the user's manager and bus, until it is closed."""

    def __init__(self, s, user):
        self.s, self.user, self.uid = s, user, make_user(s, user)
        self.runtime = '/run/user/%d' % self.uid
        self.unit = 'session-of-%s.service' % user
        s.c.run('loginctl', 'disable-linger', user)
        s.c.call('loginctl', 'terminate-user', user)
        wait_until(lambda: not os.path.exists(self.outside('bus')), 'the end of what %s had running before' % user)
        s.c.run('systemd-run', '--quiet', '--unit=' + self.unit, '-p', 'User=' + user, '-p', 'PAMName=login', '-p', 'StandardInput=null', '-E', 'XDG_SESSION_CLASS=user',
                'sleep', 'infinity')
        wait_until(lambda: os.path.exists(self.outside('bus')), 'the bus of ' + user)
        wait_until(lambda: any(x.get('user') == user for x in json.loads(s.c.run('loginctl', 'list-sessions', '--output=json'))), 'the session of ' + user)

    def outside(self, name=''):
        return '/proc/%d/root%s/%s' % (self.s.c.leader, self.runtime, name)

    def argv(self, *command):
        return ['runuser', '-u', self.user, '--', 'env', 'HOME=/home/' + self.user, 'XDG_RUNTIME_DIR=' + self.runtime, *command]

    def run(self, *command):
        return self.s.c.run(*self.argv(*command))

    def start_desktop(self):
        path = '/home/%s/.config/systemd/user/desktop.target' % self.user
        self.s.c.write(path, DESKTOP)
        self.run('systemctl', '--user', 'daemon-reload')
        self.run('systemctl', '--user', 'start', 'desktop.target')
        wait_until(lambda: self.agent('ActiveState') == 'active', 'the agent of ' + self.user)

    def agent(self, name):
        return self.run('systemctl', '--user', 'show', '--value', '-p', name, 'runbook-agent.service').strip()

    def close(self):
        self.s.c.call('systemctl', 'stop', self.unit)
        self.s.c.call('loginctl', 'terminate-user', self.user)
        wait_until(lambda: not os.path.exists(self.outside('bus')), 'the end of the session of ' + self.user)


class Screen:
    """What stands on the screen of a session."""

    def __init__(self, session):
        self.whose = session.user
        self.process = subprocess.Popen(['/usr/bin/python3', os.path.join(HERE, 'screen.py'), str(session.uid)], cwd=session.outside(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))
        self.rest = b''
        self.now = None
        self.read()

    def read(self, limit=LIMIT):
        """Takes in what has changed; waits for that where there is nothing."""
        ready = select.select([self.process.stdout], [], [], limit)[0]
        check(ready, 'waited in vain for a change on the screen of %s, where there is: %r' % (self.whose, self.now))
        data = os.read(self.process.stdout.fileno(), 65536)
        check(data, 'the notification server of %s has ended' % self.whose)
        *lines, self.rest = (self.rest + data).split(b'\n')
        if lines:
            self.now = json.loads(lines[-1])

    def wait(self, condition, what):
        end = time.monotonic() + LIMIT
        while self.now is None or not condition():
            check(time.monotonic() < end, 'waited in vain for %s on the screen of %s, where there is: %r' % (what, self.whose, self.now))
            self.read()
        return self.now['there']

    def find(self, text):
        return [n for n in self.now['there'] if text in n['summary'] or text in n['body']]

    def wait_for(self, text):
        """The one notification with this text."""
        self.wait(lambda: self.find(text), repr(text))
        found = self.find(text)
        same(len(found), 1, 'the number of notifications with %r' % text)
        return found[0]

    def wait_empty(self):
        self.wait(lambda: not self.now['there'], 'nothing')

    def press(self, note, key):
        """A button, or with None the cross that closes it."""
        check(key is None or key in note['keys'], '%r has no button %s' % (note, key))
        self.process.stdin.write(json.dumps([note['id'], key]).encode() + b'\n')
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()


@contextlib.contextmanager
def desktops(s, *users):
    """Each with a session, a notification server and the agent that the session starts: pairs of session and screen."""
    with contextlib.ExitStack() as stack:
        found = []
        for user in users:
            session = Session(s, user)
            stack.callback(session.close)
            screen = Screen(session)
            stack.callback(screen.close)
            session.start_desktop()
            found.append((session, screen))
        yield found


def answers(s, run):
    return [(e['user'], e['data'].get('action')) for e in s.json('history', str(run)) if e['type'] == 'request-answered']


def wait_on_hold(s, run):
    wait_until(lambda: s.state(run) == 'on-hold', 'the request of run %d' % run)


# ---- the agent ----

def test_agent_approves(s):
    """S0.18, S1.14, S5.5: who is asked is notified, once, and the button lets the run go on; who is not asked sees nothing."""
    make_user(s, 'bob')
    s.start_service()
    with desktops(s, 'alice', 'carol') as ((_, alice), (_, carol)):
        run = s.start('sign', ASKS % 'alice, bob')
        note = alice.wait_for('Ship it?')
        same((note['summary'], note['body'], note['keys']), ('Ship it?', 'Request %d/sign of sign\nAll is well.' % run, ['approve', 'reject', 'open']), "alice's notification")
        # carol's agent has heard of it as well: what is for her comes after it.
        for_carol = s.start('sign-carol', ASKS % 'carol')
        carol.wait_for('Request %d/sign of sign-carol' % for_carol)
        same((carol.now['notified'], alice.now['notified']), (1, 1), 'the number of notifications of carol and of alice')
        alice.press(note, 'approve')
        same(s.wait_ended(run), 'success', 'the state of the run')
        same(answers(s, run), [('alice', 'approve')], 'who has answered')
        check('alice (' in s.ctl('history', str(run), '--who', 'alice'), 'history --who alice says nothing')
        carol.press(carol.wait_for('Ship it?'), 'reject')
        same(s.wait_ended(for_carol), 'rejected', 'the state of the run that carol rejects')
        same(answers(s, for_carol), [('carol', 'reject')], 'who has rejected')


def test_agent_withdraws(s):
    """S0.18: bob was faster, by runbookctl."""
    make_user(s, 'bob')
    s.start_service()
    with desktops(s, 'alice') as ((_, alice),):
        run = s.start('sign', ASKS % 'alice, bob')
        note = alice.wait_for('Ship it?')
        s.c.run('runuser', '-u', 'bob', '--', 'runbookctl', 'approve', '%d/sign' % run, '-m', 'fine')
        alice.wait_empty()
        same((alice.now['closed'], alice.now['notified']), ([note['id']], 1), 'what was closed and the number of notifications')
        same(s.wait_ended(run), 'success', 'the state of the run')
        same(answers(s, run), [('bob', 'approve')], 'who has answered')


def test_agent_at_login_and_killed(s):
    """What is open at login is shown; one notification for a request also after the agent was killed, and one that works."""
    make_user(s, 'bob')
    s.start_service()
    run, other = s.start('sign', ASKS % 'alice, bob'), s.start('sign-other', ASKS % 'alice, bob')
    wait_on_hold(s, run)
    wait_on_hold(s, other)
    with desktops(s, 'alice') as ((session, alice),):
        alice.wait(lambda: len(alice.now['there']) == 2, 'both')
        note, gone = alice.wait_for('of sign\n'), alice.wait_for('of sign-other\n')
        kept = wait_until(lambda: [f for f in os.listdir(session.outside()) if f.startswith('runbook-agent-')], 'what the agent keeps')
        wait_until(lambda: all(str(n['id']) in s.c.run('cat', session.runtime + '/' + kept[0]) for n in (note, gone)), 'both in what the agent keeps')
        session.run('systemctl', '--user', 'kill', '--signal=KILL', 'runbook-agent.service')
        s.c.run('runuser', '-u', 'bob', '--', 'runbookctl', 'approve', '%d/sign' % other)
        alice.wait(lambda: len(alice.now['there']) == 1 and alice.now['notified'] == 3, 'the one that is open')
        again = alice.wait_for('of sign\n')
        same((again['id'], alice.now['closed']), (note['id'], [gone['id']]), 'the number of the notification, and what was closed')
        same(session.agent('NRestarts'), '1', 'the restarts of the agent')
        alice.press(again, 'approve')
        same(s.wait_ended(run), 'success', 'the state of the run')
        same((s.wait_ended(other), answers(s, run)), ('success', [('alice', 'approve')]), 'the other run, and who has answered')


def press_in_vain(s, alice, run, note, key, what):
    """Presses a button that is refused; what alice is told. The request is there as before, with its buttons."""
    alice.press(note, key)
    told = alice.wait_for('%d/disk was not %s' % (run, what))
    alice.press(told, None)
    alice.wait(lambda: told not in alice.now['there'], 'the end of what alice was told')
    same((alice.wait_for('disk has failed')['keys'], s.state(run)), (note['keys'], 'on-hold'), 'the buttons and the state after a refusal')
    return told['body']


def test_agent_says_why_not(s):
    """An owner is told of a failure; to decide takes more. Without an agent of polkit in the session nobody can be asked for a password; a rule may say no for good."""
    s.start_service()
    rule = '/etc/polkit-1/rules.d/10-no.rules'
    with desktops(s, 'alice') as ((session, alice),):
        run = s.start('backup', FAILS)
        note = alice.wait_for('disk has failed')
        same((note['body'], note['keys']), ('Request %d/disk of backup\nexited with status 3' % run, ['retry', 'ignore', 'open']), 'the notification of a failure')
        same(press_in_vain(s, alice, run, note, 'retry', 'tried again'),
             'It takes a password, and no program of this session asks for one. In a terminal you are asked: runbookctl retry %d/disk' % run, 'what alice is told')
        s.c.write(rule, 'polkit.addRule(function(a, s) { if (a.id == "org.runbookd1.operate" && s.user == "alice") return polkit.Result.NO; });\n')
        try:
            wait_until(lambda: "polkit's rules" in s.c.call(*session.argv('runbookctl', '--no-ask-password', 'retry', '%d/disk' % run)).stdout, 'the rule of polkit')
            same(press_in_vain(s, alice, run, alice.wait_for('disk has failed'), 'retry', 'tried again'),
                 'You are not allowed to, or the password was not accepted. Try again, or ask an administrator.', 'what alice is told')
        finally:
            os.unlink(s.c.path(rule))
        s.ctl('abort', '%d/disk' % run)
        alice.wait(lambda: not alice.find('disk has failed'), 'the end of the request')
        same([e['user'] for e in s.json('history', str(run)) if e['user'] not in (None, 'root')], [], 'who has done something')


def test_agent_unit(s):
    make_user(s, 'alice')
    said = s.c.run('env', 'XDG_RUNTIME_DIR=/run', 'systemd-analyze', 'verify', '--man=no', '--user', '/usr/lib/systemd/user/runbook-agent.service')
    same(said, '', 'what systemd-analyze verify says')
    same(s.c.call('runuser', '-u', 'alice', '--', 'runbook-agent', '--system').returncode, 1, 'the status of an agent without a session')


# ---- a password on a terminal ----

class Terminal:
    """A command in a session of its own, on a terminal."""

    def __init__(self, s, user, *command):
        self.s, self.said = s, ''
        argv = s.c.argv('systemd-run', '--quiet', '--wait', '--pty', '-p', 'User=' + user, '-p', 'PAMName=login', '-E', 'XDG_SESSION_CLASS=user', '-E', 'TERM=dumb',
                        '-E', 'LANG=C.UTF-8', *command)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], argv)

    def read(self, end):
        """More of what it says; False: that was all."""
        ready = select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]
        check(ready, 'no end of the command, which has said: %r' % self.said)
        try:
            data = os.read(self.fd, 65536)
        except OSError:                                 # the other end is closed
            data = b''
        self.said += data.decode(errors='replace').replace('\r\n', '\n')
        return bool(data)

    def wait_for(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.said:
            check(self.read(end), 'it ended without %r: %r' % (text, self.said))

    def type(self, text):
        os.write(self.fd, text.encode() + b'\r')

    def type_password(self, text):
        """The agent throws away what is typed before it has switched off the echo."""
        self.wait_for('Password: ')

        def echo_is_off():
            ttys = [t.strip() for t in self.s.c.run('ps', '-C', 'pkttyagent', '-o', 'tty=', check=False).split()]
            return ttys and '-echo' in self.s.c.run('stty', '-F', '/dev/' + ttys[0], '-a', check=False).split()

        wait_until(echo_is_off, 'the terminal to hide what is typed')
        self.type(text)

    def interrupt(self):
        os.write(self.fd, b'\x03')
        self.end()

    def end(self):
        """Its exit status."""
        end = time.monotonic() + LIMIT
        while self.read(end):
            pass
        os.close(self.fd)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        check(PASSWORD not in self.said, 'the password was shown: %r' % self.said)
        return status


# What a desktop's agent of polkit is for its session, this one is for the process of alice's agent. It says when polkit knows it.
POLKIT_AGENT = 'f=$(mktemp -u); mkfifo "$f"; (cat "$f"; rm "$f"; echo ready) & exec pkttyagent --process "$1" --notify-fd 3 3>"$f"'


def test_agent_and_password(s):
    """A button that takes an administrator's password: it is asked for, and the run goes on, or alice is told."""
    make_administrator(s)
    s.start_service()
    with desktops(s, 'alice') as ((session, alice),):
        run = s.start('backup', FAILS)
        note = alice.wait_for('disk has failed')
        t = Terminal(s, 'alice', 'sh', '-c', POLKIT_AGENT, 'sh', session.agent('MainPID'))
        t.wait_for('ready')
        alice.press(note, 'retry')
        t.wait_for('Authentication is required to operate a run of “backup”')
        t.type_password('wrong')
        told = alice.wait_for('%d/disk was not tried again' % run)
        check('the password was not accepted' in told['body'], 'alice is told: ' + told['body'])
        t.wait_for('AUTHENTICATION FAILED')
        t.said = ''
        alice.press(alice.wait_for('disk has failed'), 'retry')
        t.type_password(PASSWORD)
        t.wait_for('AUTHENTICATION COMPLETE')
        wait_until(lambda: len(s.attempts(run, 'disk')) == 2, 'another attempt')
        t.interrupt()                                   # not before: polkit has the agent's answer only now
        same([(e['user'], e['activity']) for e in s.json('history', str(run), '--who', 'alice')], [('alice', 'disk')], 'what alice has done')
        alice.wait_for('disk has failed')
        s.ctl('abort', '%d/disk' % run)


def password_case(s, *command, password=None):
    """The exit status of runbookctl of carol, what it says, and how many runs there are more."""
    before = len(s.json('list'))
    t = Terminal(s, 'carol', 'runbookctl', *command)
    if password:
        t.type_password(password)
    status = t.end()
    return status, t.said, len(s.json('list')) - before


def prepare_passwords(s):
    make_administrator(s)
    make_user(s, 'carol')
    s.start_service()
    s.c.write('/etc/runbookd/runbooks/hello.yaml', HELLO)


def test_right_password(s):
    """Section 11: without a desktop runbookctl brings an agent of polkit for its terminal."""
    prepare_passwords(s)
    status, said, runs = password_case(s, 'start', 'hello', '--wait', password=PASSWORD)
    same((status, runs), (0, 1), 'the exit status, and the number of new runs, after: ' + said)
    check('Authentication is required to start a run of “hello”' in said and 'mary' in said, 'it is not said what the password is for, and whose it is: ' + said)
    run = s.json('list')[0]
    same([e['user'] for e in s.json('history', str(run['id'])) if e['user']][:1], ['carol'], 'who has started it')
    # What carol has started she may read and cancel without any password: --wait has done the one, this does the other.
    held = s.start('sign', ASKS % 'mary')
    status, said, _ = password_case(s, 'cancel', str(held), password=PASSWORD)
    same((status, s.wait_ended(held)), (0, 'cancelled'), "the exit status and the state after a password for somebody else's run: " + said)


def test_wrong_password(s):
    prepare_passwords(s)
    status, said, runs = password_case(s, 'start', 'hello', '--wait', password='wrong')
    same((status, runs), (1, 0), 'the exit status, and the number of new runs, after: ' + said)
    check('the password was wrong, or not given. Try again.' in said and "polkit's rules" not in said, 'it is not said what to do: ' + said)


def test_no_password(s):
    """Who does not want to be asked is refused at once, and told how it could be done."""
    prepare_passwords(s)
    status, said, runs = password_case(s, '--no-ask-password', 'start', 'hello', '--wait')
    same((status, runs), (1, 0), 'the exit status, and the number of new runs, after: ' + said)
    check('Password' not in said and 'Leave out --no-ask-password' in said and 'as root' in said, 'it is asked, or not said what to do: ' + said)


def test_reading(s):
    """Where a run stands is for everybody; what is not, is asked a password for, with a sentence that says what for."""
    prepare_passwords(s)
    run = s.start('hello', HELLO)
    s.wait_ended(run)
    for verb in ('status', 'explain'):
        status, said, _ = password_case(s, verb, str(run))
        check(status == 0 and 'Password' not in said and 'runbookctl %s %d --all' % (verb, run) in said, 'who may not read sees of %s: %s' % (verb, said))
    for command, wanted in ((('status', str(run), '--all'), 'step-1'), (('logs', '%d/hello' % run), 'hello')):
        status, said, _ = password_case(s, *command, password=PASSWORD)
        check('Authentication is required to read inputs, errors, history and logs of run %d of “hello”' % run in said, 'it is not said what the password is for: ' + said)
        check(status == 0 and said.count('Password: ') == 1 and wanted in said.split('AUTHENTICATION COMPLETE')[1], 'with a password %r says: %s' % (command, said))
    status, said, _ = password_case(s, 'cat', 'hello', password='wrong')
    check(status == 1 and 'to read the definition of “hello”' in said and 'the password was wrong' in said, 'without the right password cat says: ' + said)


def test_open_needs_no_password(s):
    """What Open starts: who is asked answers there, fields and all, though he may not read the run."""
    prepare_passwords(s)
    run = s.start('which-key', WHICH_KEY)
    wait_on_hold(s, run)
    t = Terminal(s, 'alice', 'env', 'TERM=xterm', 'runbookctl', 'watch', str(run))
    for prompt, text in (('Enter: answer here', ''), ('pprove', 'a'), ('key (string)', 'blue')):
        t.wait_for(prompt)
        t.type(text)
    same((t.end(), s.wait_ended(run)), (0, 'success'), 'the exit status and the state of the run: ' + t.said)
    check('Password' not in t.said, 'a password was asked for: ' + t.said)
    same(answers(s, run), [('alice', 'approve')], 'who has answered')


TESTS = [f for name, f in list(globals().items()) if name.startswith('test_')]
