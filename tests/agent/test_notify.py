"""What is shown, and what the buttons do: S0.18 (approvers are notified), S0.19 (with context and the way to the activity), S1.14 (the designated people only), S5.5 (desktop
notifications on input-required signals)."""

import getpass
import grp
import os
import re

import agent_harness
from agent_harness import ALL, NAME, wait_until

ME = getpass.getuser()
HOSTILE = '<b>bold</b> & "q" \x1b]0;title\x07\x1b[31mred\u202etxt\u009b1m\rover\x7f'


class Shown(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(), self.runbookd()

    def test_S0_18_S0_19_approval(self):
        self.start()
        self.daemon.add(12, 'qa', title='Ship 1.2?', message='All tests passed.', context='3 bugs are open.', approvers=['group:nosuch', ME], deadline=1700000000 * 1000000)
        n = self.screen.wait('Ship 1.2?')
        self.assertEqual(n.summary, 'Ship 1.2?')
        self.assertEqual(n.body, 'Request 12/qa of deploy\nAll tests passed.\n3 bugs are open.\nUntil 2023-11-14 22:13:20')
        self.assertEqual((n.app, n.replaces, n.icon, n.expire), ('Runbooks', 0, 'dialog-question', 0))
        self.assertEqual(n.keys, ['approve', 'reject', 'open'])
        self.assertEqual(n.actions, {'approve': 'Approve', 'reject': 'Reject', 'open': 'Open'})
        self.assertEqual(n.hints, {'urgency': 1, 'category': 'x-runbookd.approval', 'desktop-entry': 'runbook-agent'})

    def test_decision(self):
        self.start()
        self.daemon.add(3, 'dist', kind='decision', message='exited with status 2')
        n = self.screen.wait('dist has failed. What now?')
        self.assertEqual(n.body, 'Request 3/dist of deploy\nexited with status 2')
        self.assertEqual((n.keys, n.hints['urgency'], n.icon), (['retry', 'ignore', 'open'], 2, 'dialog-warning'))

    def test_input(self):
        self.start()
        self.daemon.add(3, 'ask', kind='input', message='Which version?', fields=[{'name': 'version', 'type': 'string', 'required': True}])
        self.assertEqual(self.screen.wait('ask needs your input').keys, ['open'])

    def test_fields_to_fill_in_are_no_matter_of_a_button(self):
        self.start()
        self.daemon.add(1, 'a', title='must fill in', fields=[{'name': 'n', 'type': 'string', 'required': True}])
        self.daemon.add(1, 'b', title='may fill in', fields=[{'name': 'n', 'required': False}, {'name': 'm', 'required': True, 'default': 3}])
        self.assertEqual(self.screen.wait('must fill in').keys, ['reject', 'open'])
        self.assertEqual(self.screen.wait('may fill in').keys, ['approve', 'reject', 'open'])

    def test_unknown_kind_is_left_out(self):
        self.start()
        self.daemon.add(1, 'a', kind='riddle', title='from the future')
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.log, [])

    def test_buttons_call_the_daemon(self):
        self.start()
        for member, kind in (('Approve', 'approval'), ('Reject', 'approval'), ('Retry', 'decision'), ('Ignore', 'decision')):
            path = self.daemon.add(5, 'b.' + member, kind=kind, title=member + ' it')
            self.screen.press(self.screen.wait(member + ' it'), member.lower(), closed_first=member in ('Reject', 'Retry'))
            wait_until(lambda: path not in self.daemon.requests, 'the answer')
            self.assertEqual([c[0] for c in self.daemon.called(member)], [path])
            # A password may be asked for, and nothing but the answer is said.
            self.assertEqual([c[2:] for c in self.daemon.called(member)], [(({'OpenedAt': self.daemon.opened},), True)])
        # Looking asks for no password.
        self.assertEqual({c[3] for c in self.daemon.calls if c[1] in ('ListRequests', 'GetRequest')}, {False})

    def test_asked_again_under_the_same_name(self):
        """The button of a question that is over answers no later one, though that reads the same."""
        self.start()
        path = self.daemon.add(5, 'a', title='go on?')
        n = self.screen.wait('go on?')
        self.daemon.resolve(path, tell=False)
        self.daemon.add(5, 'a', title='go on?', context='other words', tell=False)
        self.screen.press(n, 'approve')
        n = self.screen.wait('other words')
        self.assertIn(path, self.daemon.requests)
        self.screen.press(n, 'approve')
        wait_until(lambda: path not in self.daemon.requests, 'the second answer')
        self.assertEqual([c[2][0] for c in self.daemon.called('Approve')], [{'OpenedAt': self.daemon.opened - 1}, {'OpenedAt': self.daemon.opened}])

    def test_a_key_that_was_not_offered(self):
        self.start()
        self.daemon.add(5, 'a', kind='input', title='in')
        n = self.screen.wait('in')
        for key in ('approve', 'retry', 'default', 'x' * 100000, ''):
            self.screen.tell('ActionInvoked', '(us)', n.id, key)
        self.settle(self.daemon, self.screen)
        self.assertEqual({c[0] for c in self.daemon.called('Approve')}, {agent_harness.PATH + '/run/999/activity/settle'})

    def test_pressed_twice_is_sent_once(self):
        self.start()
        path = self.daemon.add(5, 'a', title='once')
        n = self.screen.wait('once')
        self.daemon.stuck['Approve'] = []
        for _ in range(5):
            self.screen.tell('ActionInvoked', '(us)', n.id, 'approve')
        wait_until(lambda: self.daemon.stuck['Approve'], 'the answer')
        self.daemon.let_go('Approve')
        self.screen.wait('once', gone=True)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len([c for c in self.daemon.called('Approve') if c[0] == path]), 1)

    def test_S1_14_only_for_those_who_are_named(self):
        self.start()
        self.daemon.add(1, 'a', title='for nobody', approvers=['nosuchuser', 'group:nosuchgroup', 'user:daemon'])
        self.daemon.add(1, 'b', title='by group', approvers=['nosuchuser', 'group:' + grp.getgrgid(os.getgid()).gr_name])
        self.daemon.add(1, 'c', title='by name', approvers=['user:' + ME])
        self.daemon.add(1, 'd', title='by nobody at all')
        for title in ('by group', 'by name', 'by nobody at all'):
            self.screen.wait(title)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.screen.log), 3)
        self.assertFalse([c for c in self.daemon.called('GetRequest') if c[0].endswith('/a')])

    def test_a_signal_about_others_costs_nothing(self):
        self.start()
        self.settle(self.daemon, self.screen)
        n = len(self.daemon.called('ListRequests'))
        path = self.daemon.add(1, 'a', title='for nobody', approvers=['nosuchuser'])
        for _ in range(100):
            self.daemon.required(path)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.daemon.called('ListRequests')), n + 1)

    def test_S1_14_runbookd_says_who_can_answer(self):
        """Who has started a run, for instance, and may not approve it himself."""
        self.start()
        for i, can in enumerate((False, True, None, 'x')):
            path = self.daemon.add(i + 1, 'a', title='answer: %s' % can, tell=False)
            self.daemon.requests[path]['canAnswer'] = can
            self.daemon.required(path)
        self.screen.wait('answer: True')
        self.settle(self.daemon, self.screen)
        self.assertEqual([n.summary for n in self.screen.log], ['answer: True'])

    def test_refused_details_show_nothing(self):
        for i, error in enumerate(('org.freedesktop.DBus.Error.AccessDenied', NAME + '.Error.NotApprover', 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired')):
            self.daemon.refuse.setdefault('GetRequest', []).append((error, 'no'))
            self.daemon.add(i + 1, 'a', title='secret %d' % i)
        self.start()
        wait_until(lambda: not self.daemon.refuse['GetRequest'], 'the questions')
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.log, [])

    def test_one_notification_however_many_signals(self):
        self.start()
        path = self.daemon.add(1, 'a', title='the one')
        for _ in range(200):
            self.daemon.required(path)
        self.screen.wait('the one')
        self.settle(self.daemon, self.screen)
        self.assertEqual([n.summary for n in self.screen.log], ['the one'])

    def test_answered_elsewhere_is_withdrawn(self):
        self.start()
        path = self.daemon.add(1, 'a', title='the one')
        n = self.screen.wait('the one')
        self.daemon.resolve(path)
        self.screen.wait('the one', gone=True)
        self.assertEqual(self.screen.closed, [n.id])

    def test_asked_again_after_a_retry(self):
        self.start()
        path = self.daemon.add(1, 'a', title='the one')
        self.screen.wait('the one')
        self.daemon.resolve(path, how='retried')
        self.daemon.add(1, 'a', title='the other')
        self.screen.wait('the other')
        self.screen.wait('the one', gone=True)

    def test_closed_by_the_person_stays_closed(self):
        self.start()
        self.daemon.add(1, 'a', title='the one')
        self.screen.dismiss(self.screen.wait('the one'))
        self.settle(self.daemon, self.screen)
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.there, {})

    def test_S1_14_not_for_who_may_not_answer(self):
        """He is named, and the daemon says that he can't: who started the run may not, or polkit refuses it."""
        self.start()
        for kind in ('approval', 'input', 'decision'):
            path = self.daemon.add(1, 'own-' + kind, kind=kind, title='not for me', approvers=['user:' + ME], tell=False)
            self.daemon.requests[path].update(allowStarter=False, canAnswer=False)
            self.daemon.required(path)
        self.settle(self.daemon, self.screen)
        self.assertEqual(len([c for c in self.daemon.called('GetRequest') if '/own' in c[0]]), 3)
        self.assertEqual([n for n in self.screen.log if 'not for me' in str(vars(n))], [])
        self.daemon.add(1, 'mine', title='for me')
        self.screen.wait('for me')

    def test_others_have_to_approve_too(self):
        path = self.daemon.add(1, 'a', title='two of us')
        self.daemon.do_Approve = lambda p, options: (None, None) if p == path else self.daemon.act(p, 'approved', options)
        agent = self.start()
        self.screen.press(self.screen.wait('two of us'), 'approve')
        wait_until(lambda: self.daemon.called('Approve'), 'the answer')
        self.settle(self.daemon, self.screen)
        self.assertEqual(self.screen.there, {})
        # The next agent learns it from the request.
        self.end(agent)
        self.daemon.requests[path]['answers'] = [{'uid': os.getuid(), 'action': 'approve'}]
        self.start()
        self.settle(self.daemon, self.screen)
        self.assertEqual(len(self.screen.log), 1)


class Capabilities(agent_harness.TestCase):
    def shown(self, capabilities, **request):
        screen, daemon = self.server(capabilities), self.runbookd()
        self.start()
        daemon.add(12, 'qa', **request)
        wait_until(lambda: screen.there, 'the notification')
        return next(iter(screen.there.values()))

    def test_markup_is_escaped(self):
        n = self.shown(ALL, title='a <b>', message=HOSTILE)
        self.assertEqual(n.summary, 'a <b>')            # summaries are plain text
        self.assertIn('&lt;b&gt;bold&lt;/b&gt; &amp; "q"', n.body)
        self.assertNotIn('<', n.body)

    def test_plain_is_plain(self):
        n = self.shown(['body', 'actions'], message=HOSTILE)
        self.assertIn('<b>bold</b> & "q"', n.body)

    def test_without_buttons_it_says_what_to_type(self):
        n = self.shown(['body'], title='t', message='m')
        self.assertEqual(n.actions, {})
        self.assertEqual(n.body, 'Request 12/qa of deploy\nm\nAnswer with: runbookctl approve 12/qa\nor: runbookctl reject 12/qa -m WHY')

    def test_without_buttons_decision(self):
        n = self.shown(['body'], kind='decision', message='m')
        self.assertIn('Decide with: runbookctl retry 12/qa\nor: runbookctl ignore 12/qa -m WHY\nor: runbookctl abort 12/qa -m WHY', n.body)

    def test_without_a_body_the_summary_says_which(self):
        n = self.shown([], title='t', message='m')
        self.assertEqual((n.summary, n.body, n.actions), ('t (12/qa)', '', {}))

    def test_hostile_text(self):
        n = self.shown(['body', 'actions'], title=HOSTILE * 100, message=('x' * 1000 + HOSTILE) * 60, context='\n' * 50000 + 'é' * 10000)
        for text in (n.summary, n.body):
            self.assertEqual(re.findall('[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]', text), [])
        self.assertLess(len(n.summary.encode()), 170)
        self.assertLess(len(n.body.encode()), 2200)
        self.assertLess(n.body.count('\n'), 30)
        self.assertTrue(n.summary.endswith('…'))

    def test_a_list_that_makes_no_sense(self):
        """Capabilities are somebody else's words, too."""
        n = self.shown(['x' * 10000, '', 'actions', 'actions', 'body'] + ['y%d' % i for i in range(5000)], title='t')
        self.assertEqual(n.keys, ['approve', 'reject', 'open'])


class UserMode(agent_harness.TestCase):
    user_mode = True

    def test_commands_name_the_bus(self):
        screen, daemon = self.server(['body']), self.runbookd()
        self.start()
        daemon.add(12, 'qa', title='t')
        self.assertIn('runbookctl --user approve 12/qa', screen.wait('t').body)

    def test_both_may_run_in_one_session(self):
        agent = self.start()
        self.user_mode = False
        screen, daemon = self.server(), self.runbookd()
        self.start()
        daemon.add(1, 'a', title='of the system')
        screen.wait('of the system')
        self.assertIsNone(agent.poll())


if __name__ == '__main__':
    agent_harness.main()
