"""Who may call, and who may answer, where there is no polkit to ask (test_polkit.py has one). Needs root, to be other users too."""
import os
import subprocess
import unittest

import dbus

import harness
from harness import ACCESS_DENIED, ACTIVITY, ERROR, HELLO, MANAGER, NAME, NOBODY, PATH, RUN

NOT_APPROVER = ERROR + 'NotApprover'
ASK = harness.ASK.replace("message: 'Really?'", "message: 'Really?', approvers: [daemon]")

METHODS = (
    (PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', ('hello', dbus.Dictionary({}, signature='sv'), dbus.Dictionary({}, signature='sv'))),
    (PATH, MANAGER, 'ListRunbooks', '', ()),
    (PATH, MANAGER, 'GetRunbook', 's', ('hello',)),
    (PATH, MANAGER, 'ListRuns', 'a{sv}', (dbus.Dictionary({}, signature='sv'),)),
    (PATH, MANAGER, 'GetRun', 'u', (1,)),
    (PATH, MANAGER, 'ListRequests', '', ()),
    (PATH, MANAGER, 'Verify', 's', ('',)),
    (PATH, MANAGER, 'Reload', 'a{sv}', (dbus.Dictionary({}, signature='sv'),)),
    *((PATH + '/run/1', RUN, method, 'a{sv}', (dbus.Dictionary({}, signature='sv'),)) for method in ('StartNow', 'Cancel', 'Pause', 'Resume', 'Replay', 'Rerun')),
    (PATH + '/run/1', RUN, 'Reschedule', 'ta{sv}', (1, dbus.Dictionary({}, signature='sv'))),
    (PATH + '/run/1', RUN, 'SetInputs', 'a{sv}a{sv}', (dbus.Dictionary({}, signature='sv'), dbus.Dictionary({}, signature='sv'))),
    (PATH + '/run/1', RUN, 'GetInputs', '', ()),
    (PATH + '/run/1', RUN, 'ListActivities', '', ()),
    (PATH + '/run/1', RUN, 'GetHistory', 'uu', (0, 0)),
    (PATH + '/run/1', RUN, 'GetDefinition', '', ()),
    (PATH + '/run/1', RUN, 'Describe', '', ()),
    *((PATH + '/run/1/activity/sign_2doff', ACTIVITY, method, 'a{sv}', (dbus.Dictionary({}, signature='sv'),))
      for method in ('Retry', 'Ignore', 'Abort', 'Approve', 'Reject', 'Provide')),
    (PATH + '/run/1/activity/sign_2doff', ACTIVITY, 'GetRequest', '', ()),
    (PATH + '/run/1/activity/sign_2doff', ACTIVITY, 'Describe', '', ()),
    (PATH + '/run/1/activity/sign_2doff', ACTIVITY, 'OpenLog', 'us', (0, '')),
    (PATH + '/run/1/activity/sign_2doff', ACTIVITY, 'ReadLog', 'ust', (0, '', 0)),
    ('/org/freedesktop/LogControl1', 'org.freedesktop.DBus.Properties', 'Set', 'ssv', ('org.freedesktop.LogControl1', 'LogLevel', 'emerg')),
)


def call_all(address):
    """The names of the errors of all methods, in order."""
    connection = dbus.bus.BusConnection(address)
    names = []
    for path, interface, method, signature, args in METHODS:
        try:
            connection.call_blocking(NAME, path, interface, method, signature, args, timeout=30)
            names.append('')
        except dbus.DBusException as e:
            names.append(e.get_dbus_name())
    return names


def approve(address, path):
    connection = dbus.bus.BusConnection(address)
    try:
        connection.call_blocking(NAME, path, ACTIVITY, 'Approve', 'a{sv}', ({},), timeout=30)
        return ''
    except dbus.DBusException as e:
        return e.get_dbus_name()


@unittest.skipUnless(os.getuid() == 0, 'needs root')
class Nobody(harness.TestCase):
    """A user whom the bus lets through is stopped by the daemon."""

    KIND = 'user'
    ANSWERS = ()

    @classmethod
    def make_daemon(cls):
        return harness.Daemon(kind=cls.KIND)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.write_runbook('hello', HELLO)
        cls.daemon.write_runbook('ask', ASK)
        cls.run_ = cls.daemon.start_run('ask')
        cls.run_.wait_state('on-hold')

    # What is answered to everybody: on the system bus names and states.
    PUBLIC = ()

    def test_every_method(self):
        """S2.3: retry, replay and rerun as well"""
        for method, name in zip(METHODS, harness.run_as(NOBODY, call_all, self.daemon.bus.address)):
            self.assertEqual(name, '' if method[2] in self.PUBLIC else NOT_APPROVER if method[2] in self.ANSWERS else ACCESS_DENIED, method[2])
        self.assertEqual(self.run_.get('State'), 'on-hold')
        self.assertNotEqual(self.daemon.get('/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1', 'LogLevel'), 'emerg')

    def test_the_list_is_complete(self):
        """Every method that introspection shows is tried above."""
        ours = {(m[1], m[2]) for m in METHODS}
        for interface in (MANAGER, RUN, ACTIVITY):
            path = os.path.join(harness.SOURCE, 'dbus', interface + '.xml')
            with open(path, encoding='utf-8') as f:
                for line in f:
                    if '<method name=' in line:
                        self.assertIn((interface, line.split('"')[1]), ours)


class OpenSystemBus(Nobody):
    """On a system bus whose own policy allows everything."""

    KIND = 'open-system'
    PUBLIC = ('ListRunbooks', 'ListRuns', 'GetRun', 'ListRequests', 'Verify', 'ListActivities')
    ANSWERS = ('Approve', 'Reject', 'Provide')


@unittest.skipUnless(os.getuid() == 0, 'needs root')
class SystemBus(OpenSystemBus):
    """With the policy that ships everybody may call, and nobody but root own the name."""

    KIND = 'system'

    def test_nobody_may_own_the_name(self):
        p = subprocess.run(['setpriv', '--reuid=%d' % NOBODY, '--clear-groups', '/usr/bin/python3', '-c',
                            'import dbus.bus; dbus.bus.BusConnection(%r).request_name(%r)' % (self.daemon.bus.address, NAME)], capture_output=True, text=True, check=False)
        self.assertIn('AccessDenied', p.stderr)

    def test_root_may(self):
        run = self.daemon.start_run('hello')
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(run.get('StartedBy'), 0)


@unittest.skipUnless(os.getuid() == 0, 'needs root')
class Approvers(harness.TestCase):
    """Lists of approvers hold for everybody; being root, or the owner of the bus, is not being an approver."""

    def ask(self, approval, owners='[]'):
        self.daemon.write_runbook('list', 'owners: %s\nphases: [{name: main, activities: [{name: ask, approval: %s}]}]\n' % (owners, approval))
        run = self.daemon.start_run('list')
        run.wait_state('on-hold')
        return run

    def refused(self, run):
        for method in ('Approve', 'Reject'):
            with self.error('NotApprover'):
                run.activity('ask', method, 'a{sv}', {})
        self.assertEqual(run.get('State'), 'on-hold')
        run.call('Cancel', 'a{sv}', {})

    def taken(self, run):
        run.approve('ask')
        self.assertEqual(run.wait_ended(), 'success')
        answer = run.events('request-answered')[0]
        self.assertEqual(answer['user'], 'root')

    def test_by_name(self):
        self.taken(self.ask('{approvers: [nobody, root]}'))
        self.taken(self.ask("{approvers: ['user:root']}"))
        self.refused(self.ask('{approvers: [nobody]}'))
        self.refused(self.ask("{approvers: ['user:nobody', 'no-such-user']}"))

    def test_by_group(self):
        self.taken(self.ask("{approvers: ['group:root']}"))
        self.refused(self.ask("{approvers: ['group:nogroup', 'group:no-such-group']}"))
        self.refused(self.ask("{approvers: ['root-not', 'group:daemon']}"))

    def test_owners_where_none_are_named(self):
        self.taken(self.ask('{}', '[root]'))
        self.refused(self.ask('{}', '[nobody]'))
        self.taken(self.ask('{approvers: [root]}', '[nobody]'))
        self.refused(self.ask('{approvers: [nobody]}', '[root]'))

    def test_nobody_named(self):
        self.taken(self.ask('{}'))

    def test_starter(self):
        self.refused(self.ask('{allowStarter: false}'))

    def test_supplementary_groups(self):
        """The groups are those of the calling process, as the bus knows them."""
        import grp
        group = next(g for g in grp.getgrall() if g.gr_gid not in [0] + os.getgroups())
        run = self.ask("{approvers: ['group:%s']}" % group.gr_name)
        code = ('import os,dbus.bus\nos.setgroups([%d])\nb=dbus.bus.BusConnection(%r)\nb.call_blocking(%r,%r,%r,"Approve","a{sv}",({},))'
                % (group.gr_gid, self.daemon.bus.address, NAME, run.activity_path('ask'), ACTIVITY))
        with self.error('NotApprover'):
            run.approve('ask')
        subprocess.run(['/usr/bin/python3', '-c', code], check=True)
        self.assertEqual(run.wait_ended(), 'success')


if __name__ == '__main__':
    harness.main()
