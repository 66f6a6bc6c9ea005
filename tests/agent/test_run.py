"""The whole way with the real runbookd: a run asks, the button is pressed, the run goes on. S0.18, S0.19, S5.5."""

import os
import shutil
import tempfile

import agent_harness
import harness
from agent_harness import wait_until

RUNBOOK = '''
phases:
  - name: sign-off
    activities:
      - name: qa.team
        approval: {title: 'Ship it?', message: 'Version ${{ inputs.version }} <is> ready.'}
      - name: notes
        approval: {title: 'What has changed?', fields: {text: {type: string, required: true}}}
inputs: {version: {default: '1.2'}}
'''

HELD = '''
phases:
  - name: build
    activities:
      - name: dist
        failurePolicy: hold
        run: test -e go || { touch go; exit 3; }
      - name: docs
        failurePolicy: hold
        run: exit 4
'''

NAMED = '''
phases:
  - name: a
    activities:
      - name: ask
        approval: {title: 'Not for us', approvers: [nobody]}
'''

NOT_THE_STARTER = '''
phases:
  - name: a
    activities:
      - name: ask
        approval: {title: 'Not for who has started it', allowStarter: false}
'''


class Run(agent_harness.TestCase):
    user_mode = True

    def setUp(self):
        super().setUp()
        scratch = tempfile.mkdtemp(prefix='runbookd-test-')
        self.addCleanup(shutil.rmtree, scratch, ignore_errors=True)
        self.daemon = harness.Daemon(scratch=scratch, bus=self.session)
        self.addCleanup(self.daemon.close)
        self.daemon.write_runbook('ship', RUNBOOK)
        self.daemon.write_runbook('held', HELD)
        self.daemon.write_runbook('named', NAMED)
        self.daemon.write_runbook('not-the-starter', NOT_THE_STARTER)
        self.daemon.start()
        self.screen = self.server()

    def test_approval(self):
        self.start()
        run = self.daemon.start_run('ship')
        n = self.screen.wait('Ship it?')
        self.assertEqual(n.body, 'Request 1/qa.team of ship\nVersion 1.2 &lt;is&gt; ready.')
        self.screen.press(n, 'approve')
        self.assertEqual(self.screen.wait('What has changed?').keys, ['reject', 'open'])
        run.activity('notes', 'Approve', 'a{sv}', {'Fields': harness.dbus.Dictionary({'text': 'x'}, signature='sv')})
        self.screen.wait_count(0)
        self.assertEqual(run.wait_ended(), 'success')

    def test_rejection(self):
        self.start()
        run = self.daemon.start_run('ship')
        self.screen.press(self.screen.wait('Ship it?'), 'reject')
        self.assertEqual(run.wait_ended(), 'rejected')
        self.screen.wait_count(0)

    def test_answered_in_a_pause(self):
        """It goes from the screen at once, though the run goes on later."""
        self.start()
        run = self.daemon.start_run('ship')
        n = self.screen.wait('Ship it?')
        run.call('Pause', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))
        self.screen.press(n, 'approve')
        self.screen.wait_count(0)
        self.assertEqual(run.get('State'), 'paused')
        run.call('Resume', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))
        self.screen.wait('What has changed?')
        run.call('Cancel', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))

    def test_decisions(self):
        self.start()
        run = self.daemon.start_run('held')
        n = self.screen.wait('dist has failed. What now?')
        self.assertIn('Request 1/dist of held\n', n.body)
        self.assertIn('3', n.body.split('\n')[1])
        self.screen.press(n, 'retry')
        self.screen.press(self.screen.wait('docs has failed. What now?'), 'ignore')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.activity_get('docs', 'State'), 'ignored')

    def test_cancelled_run(self):
        self.start()
        run = self.daemon.start_run('ship')
        self.screen.wait('Ship it?')
        run.call('Cancel', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))
        self.screen.wait_count(0)

    def test_killed_over_it(self):
        """The daemon dies and comes back: the notification stays, and its button works."""
        self.start()
        run = self.daemon.start_run('ship')
        n = self.screen.wait('Ship it?')
        self.daemon.kill9()
        self.daemon.start()
        wait_until(lambda: run.get('State') == 'on-hold', 'the run')
        self.assertEqual(self.screen.find('Ship it?'), [n])
        self.screen.press(n, 'approve')
        self.screen.wait('What has changed?')
        self.assertEqual(len([x for x in self.screen.log if x.summary == 'Ship it?']), 1)

    def test_others_are_asked(self):
        self.start()
        self.daemon.start_run('named')
        self.daemon.start_run('ship')
        self.screen.wait('Ship it?')
        self.assertEqual(self.screen.find('Not for us') if os.getuid() != harness.NOBODY else [], [])

    def test_S1_14_the_starter_is_not_asked(self):
        self.start()
        self.daemon.start_run('not-the-starter')
        self.daemon.start_run('ship')
        self.screen.wait('Ship it?')
        self.assertEqual([n.summary for n in self.screen.log], ['Ship it?'])

    def test_what_was_open_before(self):
        run = self.daemon.start_run('ship')
        run.wait_state('on-hold')
        self.start()
        self.screen.wait('Ship it?')


if __name__ == '__main__':
    agent_harness.main()
