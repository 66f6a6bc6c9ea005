"""Everything around the agent comes and goes, refuses, is stuck, lies or is too much; requests are neither lost nor shown twice. S0.18, S5.5."""

import glob
import os
import re
import signal
import stat
import subprocess

from gi.repository import GLib

import agent_harness
from agent_harness import MANAGER, NAME, NOTIFICATIONS, NOTIFICATIONS_PATH, PATH, connect, wait_until

ERROR = NAME + '.Error.'
DBUS_ERROR = 'org.freedesktop.DBus.Error.'


class Restarts(agent_harness.TestCase):
    def test_what_is_open_is_shown_at_login(self):
        screen, daemon = self.server(), self.runbookd()
        daemon.add(1, 'a', title='one')
        daemon.add(2, 'a', title='two')
        self.start()
        screen.wait('one')
        screen.wait('two')

    def test_the_notification_server_restarts(self):
        screen, daemon = self.server(), self.runbookd()
        self.start()
        daemon.add(1, 'a', title='one')
        daemon.add(2, 'a', title='two')
        screen.wait('one')
        screen.wait('two')
        screen.stop()
        screen = self.server(['body'], first_id=100)    # another one, which can do less
        self.assertIn('runbookctl approve 1/a', screen.wait('one').body)
        screen.wait('two')
        screen.stop()
        screen = self.server()
        screen.press(screen.wait('two'), 'approve')
        wait_until(lambda: len(daemon.requests) == 1, 'the answer')
        self.assertEqual(sorted(n.summary for n in screen.log), ['one', 'two'])

    def test_the_server_comes_late(self):
        daemon = self.runbookd()
        self.start()
        daemon.add(1, 'a', title='one')
        path = daemon.add(1, 'b', title='gone by then')
        wait_until(lambda: len(daemon.called('GetRequest')) == 2, 'the questions')
        daemon.resolve(path)
        wait_until(lambda: 'There is no notification server' in self.log(), 'the words about it')
        screen = self.server()
        screen.wait('one')
        self.settle(daemon, screen)
        self.assertEqual(len(screen.log), 1)

    def test_runbookd_restarts(self):
        screen, daemon = self.server(), self.runbookd()
        self.start()
        kept, gone, closed = (daemon.add(i + 1, 'a', title=t) for i, t in enumerate(('kept', 'gone', 'closed')))
        self.assertTrue(kept and gone)
        for title in ('kept', 'gone'):
            screen.wait(title)
        screen.dismiss(screen.wait('closed'))
        old = daemon.requests
        daemon.stop()
        daemon = self.runbookd()
        for path, r in old.items():
            if path != gone:
                daemon.add(r['run'], r['activity'], title=r['title'], tell=False)
        self.assertIn(closed, daemon.requests)
        # What is still there isn't shown once more; what was closed without an answer is.
        screen.wait('gone', gone=True)
        screen.wait('closed')
        self.settle(daemon, screen)
        self.assertEqual(sorted(n.summary for n in screen.log), ['closed', 'closed', 'gone', 'kept'])

    def test_answered_while_details_are_on_their_way(self):
        screen, daemon = self.server(), self.runbookd()
        self.start()
        daemon.add(1, 'a', title='one')
        n = screen.wait('one')
        daemon.stop()
        daemon = self.runbookd()
        daemon.stuck.update(GetRequest=[], Approve=[])
        daemon.add(1, 'a', title='one')
        wait_until(lambda: daemon.stuck['GetRequest'], 'the question')
        screen.press(n, 'approve')
        wait_until(lambda: daemon.stuck['Approve'], 'the answer')
        daemon.let_go('GetRequest')
        daemon.add(2, 'a', title='two')
        screen.wait('two')
        self.assertEqual([x.summary for x in screen.log], ['one', 'two'])
        daemon.let_go('Approve')
        self.settle(daemon, screen)
        self.assertEqual([x.summary for x in screen.log], ['one', 'two'])

    def test_a_restart_with_another_question(self):
        screen, daemon = self.server(), self.runbookd()
        self.start()
        daemon.add(1, 'a', title='before')
        n = screen.wait('before')
        daemon.stop()
        self.runbookd().add(1, 'a', title='after', fields=[{'name': 'x', 'required': True}])
        after = screen.wait('after')
        self.assertEqual((after.replaces, after.keys), (n.id, ['reject', 'open']))
        self.assertEqual(len(screen.there), 1)

    def test_the_agent_restarts(self):
        screen, daemon = self.server(), self.runbookd()
        agent = self.start()
        daemon.add(1, 'a', title='one')
        n = screen.wait('one')
        self.assertEqual(self.end(agent), 0)
        screen.wait('one', gone=True)                   # its buttons would do nothing
        self.assertEqual(screen.closed, [n.id])
        self.start()
        screen.wait('one')

    def test_the_system_bus_restarts(self):
        screen, daemon = self.server(), self.runbookd()
        agent = self.start()
        daemon.add(1, 'a', title='one')
        n = screen.wait('one')
        self.system.stop()
        wait_until(lambda: 'The system bus has ended' in self.log(), 'the end of the bus')
        # While it is away an answer is refused, and asked for again.
        screen.press(n, 'approve')
        self.assertIn("can't be reached", screen.wait('1/a was not approved').body)
        screen.wait('one')
        self.system.start()
        daemon = self.runbookd()
        daemon.add(1, 'a', title='one', tell=False)
        daemon.add(2, 'a', title='two')
        screen.wait('two')
        self.settle(daemon, screen)
        self.assertIsNone(agent.poll())
        self.assertEqual(len([x for x in screen.there.values() if x.summary == 'one']), 1)

    def test_no_system_bus_at_the_start(self):
        self.system.stop()
        screen = self.server()
        self.start()
        wait_until(lambda: "system bus can't be reached" in self.log(), 'the words about it')
        self.system.start()
        self.runbookd().add(1, 'a', title='one')
        screen.wait('one')

    def test_the_session_ends(self):
        daemon = self.runbookd()
        agent = self.start()
        wait_until(lambda: daemon.called('ListRequests'), 'the agent')
        self.session.stop()
        self.assertEqual(agent.wait(agent_harness.LIMIT), 0)

    def has_owner(self, name):
        c = connect(self.session.address)
        try:
            return agent_harness.ask_driver(c, 'NameHasOwner', GLib.Variant('(s)', (name,)))[0]
        finally:
            c.close_sync(None)

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            daemon = self.runbookd()
            agent = self.start()
            wait_until(lambda: daemon.called('ListRequests'), 'the agent')  # pylint: disable=cell-var-from-loop
            self.assertEqual(self.end(agent, number), 0)
            daemon.stop()

    def test_one_agent_in_a_session(self):
        self.start()
        wait_until(lambda: self.has_owner(NAME + '.Agent'), 'the agent')
        self.assertEqual(self.start().wait(agent_harness.LIMIT), 78)
        self.assertIn('Another agent serves this session.', self.log())


class Activation(agent_harness.TestCase):
    def adjust(self, bus, name):
        services = os.path.join(self.scratch, name + '-services')
        os.mkdir(services)
        program = os.path.join(self.scratch, name + '-program')
        with open(program, 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\necho started >>%s.log\nexit 1\n' % program)
        os.chmod(program, 0o755)
        with open(os.path.join(services, 'x.service'), 'w', encoding='ascii') as f:
            f.write('[D-BUS Service]\nName=%s\nExec=%s\n' % (NOTIFICATIONS if name == 'session' else NAME, program))
        with open(bus.config, encoding='utf-8') as f:
            text = f.read()
        with open(bus.config, 'w', encoding='utf-8') as f:
            f.write(text.replace('</busconfig>', '<servicedir>%s</servicedir></busconfig>' % services))

    def test_a_server_is_started_and_runbookd_by_an_answer_only(self):
        started = os.path.join(self.scratch, '%s-program.log')
        daemon = self.runbookd()
        self.start()
        wait_until(lambda: daemon.called('ListRequests'), 'the list')
        self.assertFalse(os.path.exists(started % 'session'))   # not before there is something to show
        daemon.add(1, 'a', title='one')
        wait_until(lambda: os.path.exists(started % 'session'), 'the start of a server')
        screen = self.server()
        screen.wait('one')
        daemon.stop()
        wait_until(lambda: not self.has_runbookd(), 'its end')
        screen.press(screen.wait('one'), 'approve')     # an answer may start it
        wait_until(lambda: os.path.exists(started % 'system') and os.path.getsize(started % 'system') > 0, 'the start of runbookd')
        with open(started % 'system', encoding='ascii') as f:
            self.assertEqual(f.read(), 'started\n')     # nothing had, before

    def has_runbookd(self):
        c = connect(self.system.address)
        try:
            return agent_harness.ask_driver(c, 'NameHasOwner', GLib.Variant('(s)', (NAME,)))[0]
        finally:
            c.close_sync(None)


class Refusals(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()
        self.start()

    def refused(self, member, kind, error, text='because'):
        self.daemon.add(7, 'qa', kind=kind, title='the question')
        self.daemon.refuse[member] = [(error, text)]
        self.screen.press(self.screen.wait('the question'), member.lower())
        n = self.screen.wait('7/qa was not ')
        self.assertEqual((n.actions, n.hints['transient'], n.expire), ({}, True, -1))
        return n.body

    def test_permission_is_missing(self):
        body = self.refused('Approve', 'approval', DBUS_ERROR + 'AccessDenied')
        self.assertIn('Try again, or ask an administrator.', body)
        self.screen.press(self.screen.wait('the question'), 'approve')  # it came back
        self.screen.wait('the question', gone=True)
        wait_until(lambda: not self.daemon.requests, 'the answer')

    def test_not_an_approver(self):
        self.assertIn('runbookctl status 7/qa', self.refused('Reject', 'approval', ERROR + 'NotApprover'))
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.find('the question'), [])

    def test_too_late(self):
        self.assertIn('Nothing has been changed.', self.refused('Approve', 'approval', ERROR + 'AlreadyAnswered'))
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.find('the question'), [])

    def test_too_late_and_gone(self):
        """The other's answer ends the request while ours is on its way: we are told all the same."""
        path = self.daemon.add(7, 'qa', title='the question')
        self.daemon.stuck['Approve'] = []
        n = self.screen.wait('the question')
        self.screen.press(n, 'approve')
        wait_until(lambda: self.daemon.stuck['Approve'], 'the answer')
        self.daemon.resolve(path, 'rejected')
        self.daemon.let_go('Approve')
        self.assertIn('no longer waits', self.screen.wait('7/qa was not approved').body)

    def test_no_longer_waits(self):
        self.assertIn('runbookctl status 7', self.refused('Retry', 'decision', ERROR + 'WrongState').replace('7/qa', ''))

    def test_more_is_asked(self):
        self.assertIn('Press Open', self.refused('Approve', 'approval', ERROR + 'InvalidInput'))
        self.screen.wait('the question')

    def test_anything_else_is_said_as_it_is(self):
        self.assertEqual(self.refused('Approve', 'approval', ERROR + 'StorageUnavailable', 'The <disk>\x1b[31m is full.'), 'The &lt;disk&gt;\ufffd is full.')
        self.screen.wait('the question')

    def test_runbookd_dies_over_it(self):
        self.daemon.add(7, 'qa', title='the question')
        self.daemon.stuck['Ignore'] = self.daemon.stuck['Approve'] = []
        self.screen.press(self.screen.wait('the question'), 'approve')
        wait_until(lambda: self.daemon.stuck['Approve'], 'the answer')
        self.daemon.stop()
        self.assertIn("can't be reached", self.screen.wait('7/qa was not approved').body)
        self.screen.wait('the question')

    def test_the_list_is_asked_for_again(self):
        self.settle(self.daemon, self.screen)
        self.daemon.refuse['ListRequests'] = [(DBUS_ERROR + 'LimitsExceeded', 'too many')]
        self.daemon.add(1, 'a', title='one')
        self.screen.wait('one')

    def test_the_details_are_asked_for_again(self):
        self.daemon.refuse['GetRequest'] = [(DBUS_ERROR + 'LimitsExceeded', 'too many')]
        self.daemon.add(1, 'a', title='one')
        self.screen.wait('one')

    def test_a_list_that_is_refused(self):
        self.settle(self.daemon, self.screen)
        self.daemon.refuse['ListRequests'] = [(DBUS_ERROR + 'AccessDenied', 'not for you')]
        self.daemon.add(1, 'a', title='one')
        wait_until(lambda: 'does not let us see requests: not for you' in self.log(), 'the words about it')
        self.settle(self.daemon, self.screen)           # the next signal is a reason to look again
        self.screen.wait('one')

    def test_details_that_make_no_sense(self):
        self.daemon.do_GetRequest = lambda path: ('(s)', ('[1, "' + 'x' * 100000,))
        self.daemon.add(1, 'a', title='one')
        self.assertEqual(self.screen.wait('one').keys, ['approve', 'reject', 'open'])


class Stuck(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()

    def sent(self):
        return len(self.screen.stuck['Notify'])

    def test_a_server_that_does_not_answer(self):
        self.screen.stuck['Notify'] = []
        self.start()
        gone = self.daemon.add(1, 'a', title='gone')
        self.daemon.add(2, 'a', title='kept')
        wait_until(lambda: self.sent() == 2, 'both')
        self.daemon.resolve(gone)
        self.daemon.add(3, 'a', title='new')
        wait_until(lambda: self.sent() == 3, 'the third')
        self.screen.let_go('Notify')
        self.screen.wait('kept')
        self.screen.wait('new')
        self.screen.wait('gone', gone=True)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.screen.log), 3)

    def test_it_ends_all_the_same(self):
        self.screen.stuck['Notify'] = []
        agent = self.start()
        self.daemon.add(1, 'a', title='one')
        wait_until(lambda: self.sent() == 1, 'it')
        self.assertEqual(self.end(agent), 0)

    def test_the_stuck_one_is_replaced(self):
        self.screen.stuck['Notify'] = []
        self.start()
        self.daemon.add(1, 'a', title='one')
        wait_until(lambda: self.sent() == 1, 'it')
        self.screen.stop()
        screen = self.server()
        screen.wait('one')
        self.settle(self.daemon, screen)
        self.assertEqual(len(screen.log), 1)

    def test_SENDING_MAX(self):
        """What waits in the queue of a stuck server is bounded, however many requests come and go."""
        self.screen.stuck['Notify'] = []
        self.start()
        for i in range(70):
            path = self.daemon.add(i + 1, 'a', title='passing %d' % i)
            wait_until(lambda: self.daemon.called('GetRequest')[-1:] and self.daemon.called('GetRequest')[-1][0] == path, 'the question')  # pylint: disable=cell-var-from-loop
            self.daemon.resolve(path)
        self.daemon.add(100, 'a', title='stays')
        wait_until(lambda: self.daemon.called('GetRequest')[-1][0].startswith(PATH + '/run/100/'), 'the question')
        wait_until(lambda: self.sent() >= 50, 'a full queue')
        self.assertLessEqual(self.sent(), 64)
        self.screen.let_go('Notify')
        self.screen.wait('stays')
        self.screen.wait_count(1)

    def test_a_server_that_refuses(self):
        self.screen.refuse['Notify'] = [(DBUS_ERROR + 'LimitsExceeded', 'too many')]
        self.start()
        self.daemon.add(1, 'a', title='one')
        self.screen.wait('one')                         # tried again

    def test_TRANSIENT_MAX(self):
        """Errors that nobody can be told don't pile up."""
        self.start()
        for i in range(12):
            self.daemon.add(i + 1, 'a', title='request %02d' % i)
        self.screen.wait_count(12)
        notes = list(self.screen.there.values())
        self.screen.stuck['Notify'] = []
        self.daemon.refuse['Approve'] = [(ERROR + 'AlreadyAnswered', 'late')] * 12
        for n in notes:
            self.screen.press(n, 'approve')
        wait_until(lambda: not self.daemon.refuse['Approve'], 'the answers')
        self.daemon.add(50, 'a', title='behind them')
        wait_until(lambda: any('behind them' in str(i.get_parameters()) for i in self.screen.stuck['Notify']), 'the next one')
        self.assertEqual(len([i for i in self.screen.stuck['Notify'] if 'was not approved' in str(i.get_parameters())]), 8)

    def test_ANSWERS_MAX(self):
        self.daemon.stuck['Approve'] = []
        self.start()
        for i in range(66):
            path = self.daemon.add(i + 1, 'a', title='request %02d' % i)
            self.screen.press(self.screen.wait('request %02d' % i), 'approve')
            if i < 64:
                wait_until(lambda: len(self.daemon.stuck['Approve']) == i + 1, 'the answer')   # pylint: disable=cell-var-from-loop
            self.daemon.resolve(path)
        self.daemon.add(100, 'a', kind='decision', title='another')
        self.screen.wait('another')
        self.assertEqual(len(self.daemon.stuck['Approve']), 64)


class Many(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()

    def test_NOTES_MAX(self):
        paths = [self.daemon.add(i + 1, 'a', title='request %02d' % i) for i in range(25)]
        self.configure('[Agent]\nOpenCommand=printf %%s "$RUNBOOK_COMMAND, $RUNBOOK_RUN." >%s/opened.new; mv %s/opened.new %s/opened\n' % ((self.scratch,) * 3))
        self.start()
        more = self.screen.wait('5 more requests wait for you')
        self.screen.wait_count(21)
        self.assertEqual(sorted(n.summary for n in self.screen.there.values())[1:], ['request %02d' % i for i in range(20)])    # the oldest
        self.assertEqual((more.keys, more.body), (['open'], 'All are listed by: runbookctl inbox'))
        self.screen.press(more, 'open')
        opened = os.path.join(self.scratch, 'opened')
        wait_until(lambda: os.path.exists(opened), 'the inbox')
        with open(opened, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'runbookctl inbox, .')
        # One is answered: the next moves up, and a number that shrinks does not come back by itself.
        self.daemon.resolve(paths[3])
        self.screen.wait('request 20')
        self.assertEqual(self.screen.find('more request'), [])
        for i in range(3):
            paths.append(self.daemon.add(100 + i, 'a', title='late %d' % i))
        self.screen.wait('7 more requests wait for you')
        for path in list(self.daemon.requests)[:6]:
            self.daemon.resolve(path)
        self.screen.wait('1 more request waits for you')
        for path in list(self.daemon.requests)[:1]:
            self.daemon.resolve(path)
        self.screen.wait('more request', gone=True)
        self.screen.wait_count(20)
        for path in list(self.daemon.requests):
            self.daemon.resolve(path)
        self.screen.wait_count(0)

    def test_REQUESTS_MAX(self):
        for i in range(1100):
            self.daemon.add(i + 1, 'a', title='request %04d' % i, message='x' * 200, tell=False)
        self.start()
        self.screen.wait('1080 more requests wait for you')
        for path in list(self.daemon.requests)[:200]:
            self.daemon.resolve(path)
        self.screen.wait('880 more requests wait for you')


class Forged(agent_harness.TestCase):
    """Anybody on a bus may send a signal to a connection, under any interface."""

    def agent_name(self, bus):
        """The agent's connection to that bus, found by its process."""
        c = connect(bus.address)
        try:
            for name in agent_harness.ask_driver(c, 'ListNames', None)[0]:
                if name.startswith(':') and agent_harness.ask_driver(c, 'GetConnectionUnixProcessID', GLib.Variant('(s)', (name,)))[0] == self.agents[0].pid:
                    return name
        finally:
            c.close_sync(None)
        raise AssertionError('the agent is not there')

    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()
        self.start()
        self.path = self.daemon.add(1, 'a', title='the question')
        self.note = self.screen.wait('the question')
        self.liar = None

    def lie(self, bus, path, interface, member, signature, *values):
        name = self.agent_name(bus)
        self.liar = self.liar or connect(bus.address)
        self.liar.emit_signal(name, path, interface, member, GLib.Variant(signature, values))
        self.liar.flush_sync(None)
        self.addCleanup(self.liar.close_sync, None)

    def test_resolved(self):
        self.lie(self.system, PATH, MANAGER, 'RequestResolved', '(osu)', self.path, 'approved', 0)
        self.settle(self.daemon, self.screen)
        self.assertIn(self.note.id, self.screen.there)

    def test_required(self):
        self.settle(self.daemon, self.screen)
        n = len(self.daemon.called('ListRequests'))
        self.lie(self.system, PATH, MANAGER, 'InputRequired', '(uosssSast)'.replace('S', 's'), 1, self.path, 'x', 'a', 'approval', 'lie', [], 0)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.daemon.called('ListRequests')), n + 1)

    def test_button(self):
        self.lie(self.session, NOTIFICATIONS_PATH, NOTIFICATIONS, 'ActionInvoked', '(us)', self.note.id, 'approve')
        self.settle(self.daemon, self.screen)
        self.assertIn(self.path, self.daemon.requests)

    def test_owners(self):
        for bus, name in ((self.session, NOTIFICATIONS), (self.system, NAME)):
            self.liar = None
            self.lie(bus, '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', '(sss)', name, '', connect(bus.address).get_unique_name())
        self.screen.press(self.note, 'approve')
        wait_until(lambda: self.path not in self.daemon.requests, 'the answer')
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.screen.log), 1)


class Open(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()
        self.bin = os.path.join(self.scratch, 'bin')
        os.mkdir(self.bin)
        self.out = os.path.join(self.scratch, 'out')

    def press_open(self, key='open', **kwargs):
        self.daemon.add(12, 'qa', title='the question', **kwargs)
        self.screen.press(self.screen.wait('the question'), key)

    def output(self):
        wait_until(lambda: os.path.exists(self.out), 'what was opened')
        with open(self.out, encoding='utf-8') as f:
            return f.read()

    def script(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\n' + text + '\n')
        os.chmod(path, stat.S_IRWXU)

    def test_command_of_the_configuration(self):
        self.configure('# mine\n[Agent]\nOpenCommand=printf "%%s|" "$RUNBOOK_RUN" "$RUNBOOK_ACTIVITY" "$RUNBOOK_NAME" "$RUNBOOK_KIND" "$RUNBOOK_COMMAND" "$XDG_ACTIVATION_TOKEN" '
                       '>%s.new; mv %s.new %s\n' % ((self.out,) * 3))
        self.start(RUNBOOK_RUN='of somebody else')
        self.press_open()
        self.assertEqual(self.output(), '12|qa|deploy|approval|runbookctl watch 12||')

    def test_token_for_the_window(self):
        self.configure('[Agent]\nOpenCommand=printf %%s "$XDG_ACTIVATION_TOKEN $DESKTOP_STARTUP_ID" >%s.new; mv %s.new %s\n' % ((self.out,) * 3))
        self.start()
        self.daemon.add(12, 'qa', title='the question')
        n = self.screen.wait('the question')
        self.screen.tell('ActivationToken', '(us)', n.id, 'x' * 1000)   # too long to be one
        self.screen.tell('ActivationToken', '(us)', n.id, 'token-1')
        self.screen.press(n, 'open')
        self.assertEqual(self.output(), 'token-1 token-1')

    def test_a_terminal(self):
        self.script('x-terminal-emulator', 'printf "%%s|" "$@" >%s.new; mv %s.new %s' % ((self.out,) * 3))
        self.start(PATH=self.bin + ':/bin:/usr/bin')
        self.press_open(kind='input')
        words = self.output().split('|')
        self.assertEqual(words[0], '-e')
        self.assertEqual(words[1:3] + words[4:], ['/bin/sh', '-c', 'sh', 'Press Enter to close.', 'runbookctl', 'watch', '12', ''])

    def test_what_the_terminal_runs(self):
        """The command, then a key is waited for; signals are as a program expects them."""
        self.script('runbookctl', 'echo "ctl $*"; grep -E "^Sig(Blk|Ign)" /proc/self/status')
        self.script('xterm', 'shift; echo | "$@" >%s.new; ls /proc/self/fd | wc -l >>%s.new; mv %s.new %s' % ((self.out,) * 4))
        for tool in ('mv', 'ls', 'wc', 'grep'):
            os.symlink('/bin/' + tool if os.path.exists('/bin/' + tool) else '/usr/bin/' + tool, os.path.join(self.bin, tool))
        self.start(PATH=self.bin)
        self.press_open()
        m = re.fullmatch(r'ctl watch 12\nSigBlk:\t(\w+)\nSigIgn:\t(\w+)\n\nPress Enter to close\.4\n', self.output())
        self.assertTrue(m)
        self.assertEqual([int(x, 16) & 0x7fffffff for x in m.groups()], [0, 0])     # the next two belong to the C library

    def test_no_terminal(self):
        self.start(PATH=self.bin)
        self.press_open()
        n = self.screen.wait('No terminal could be opened')
        self.assertIn('Type it yourself: runbookctl watch 12', n.body)
        self.assertIn('OpenCommand=', n.body)

    def test_command_that_is_not_there(self):
        self.configure('[Agent]\nOpenCommand=no-such-terminal 2>/dev/null\n')
        self.start()
        self.press_open()
        self.assertIn('The command was not found.', self.screen.wait('No terminal could be opened').body)

    def test_configuration_that_is_wrong(self):
        self.configure('[Agent]\nOpenCmd=x\n[Other]\ny=1\n')
        self.start(PATH=self.bin)
        self.press_open()
        self.screen.wait('No terminal could be opened')
        self.assertRegex(self.log(), r'agent\.conf:2: .*OpenCmd(.|\n)*agent\.conf:3: .*Other')

    def test_hostile_names_are_no_words_of_the_shell(self):
        self.configure('[Agent]\nOpenCommand=printf %%s "$RUNBOOK_ACTIVITY" >%s.new; mv %s.new %s\n' % ((self.out,) * 3))
        self.start()
        self.daemon.add(12, '$(touch x);\'"`', title='the question')
        self.screen.press(self.screen.wait('the question'), 'open')
        self.assertEqual(self.output(), '$(touch x);\'"`')

    def test_OPEN_MAX_CHILDREN(self):
        self.configure('[Agent]\nOpenCommand=touch %s.$$; exec sleep 1000\n' % self.out)
        agent = self.start()
        self.daemon.add(12, 'qa', title='the question')
        n = self.screen.wait('the question')
        self.addCleanup(self.kill_opened)
        for _ in range(33):
            self.screen.tell('ActionInvoked', '(us)', n.id, 'open')
        self.assertIn('Too many are open.', self.screen.wait('No terminal could be opened').body)
        wait_until(lambda: len(self.opened()) == 32, 'the others')
        # They outlive the agent.
        self.end(agent)
        for pid in self.opened():
            os.kill(pid, 0)

    def opened(self):
        return [int(p.rsplit('.', 1)[1]) for p in glob.glob(self.out + '.*')]

    def kill_opened(self):
        for pid in self.opened():
            os.kill(pid, signal.SIGKILL)


class Usage(agent_harness.TestCase):
    def run_agent(self, *args, **env):
        return subprocess.run([agent_harness.agent_program()] + list(args), env=self.environment(**env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=agent_harness.LIMIT, check=False)

    def test_help_and_version(self):
        p = self.run_agent('--help')
        self.assertEqual((p.returncode, p.stderr), (0, ''))
        for option in ('--user', '--system', '--log-level', '--help', '--version'):
            self.assertIn(option, p.stdout)
        self.assertLessEqual(max(map(len, p.stdout.split('\n'))), 80)
        p = self.run_agent('--version')
        self.assertRegex(p.stdout, r'^runbook-agent \d+\.\d+\.\d+\n$')

    def test_wrong_usage(self):
        for args, text in ((['--nonsense'], '--help'), (['word'], 'takes no arguments'), (['--log-level=loud'], 'no log level')):
            p = self.run_agent(*args)
            self.assertEqual((p.returncode, p.stdout), (64, ''))
            self.assertIn(text, p.stderr)

    def test_no_session(self):
        p = self.run_agent(DBUS_SESSION_BUS_ADDRESS='unix:path=/nonexistent')
        self.assertEqual(p.returncode, 1)
        self.assertIn('The agent belongs into a desktop session', p.stderr)


if __name__ == '__main__':
    agent_harness.main()
