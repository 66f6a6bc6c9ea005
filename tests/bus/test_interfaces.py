"""The XML files are the contract: names, arguments and flags are held against the running daemon. And every object has one path."""
import os
import unittest
import xml.etree.ElementTree as ET

import harness
from harness import ACTIVITY, ASK, MANAGER, PATH, RUN, SOURCE, UNKNOWN_OBJECT

CHANGED = 'org.freedesktop.DBus.Property.EmitsChangedSignal'


def arguments(element):
    return [(a.get('name'), a.get('type'), a.get('direction')) for a in element.findall('arg')]


def annotations(element):
    return {a.get('name'): a.get('value') for a in element.findall('annotation')}


def picture(interface):
    """What of an interface is a part of the contract."""
    result = {}
    for m in interface.findall('method'):
        result['method', m.get('name')] = (arguments(m), annotations(m))
    for s in interface.findall('signal'):
        result['signal', s.get('name')] = ([(n, t, None) for n, t, _ in arguments(s)], annotations(s))
    for p in interface.findall('property'):
        notes = annotations(p)
        result['property', p.get('name')] = (p.get('type'), p.get('access'), notes.pop(CHANGED, 'true'), notes)
    return result


class Interfaces(harness.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.write_runbook('ask', ASK)
        cls.run_ = cls.daemon.start_run('ask')
        cls.run_.wait_state('on-hold')

    def introspect(self, path):
        return ET.fromstring(self.daemon.call(path, 'org.freedesktop.DBus.Introspectable', 'Introspect'))

    def compare(self, path, interface):
        live = next(i for i in self.introspect(path).findall('interface') if i.get('name') == interface)
        written = ET.parse(os.path.join(SOURCE, 'dbus', interface + '.xml')).find('interface')
        self.assertEqual(written.get('name'), interface)
        self.assertEqual(picture(live), picture(written))

    def test_manager(self):
        self.compare(PATH, MANAGER)

    def test_run(self):
        self.compare(self.run_.path, RUN)

    def test_activity(self):
        self.compare(self.run_.activity_path('sign-off'), ACTIVITY)

    def test_activity_is_no_run(self):
        names = [i.get('name') for i in self.introspect(self.run_.activity_path('sign-off')).findall('interface')]
        self.assertIn(ACTIVITY, names)
        self.assertNotIn(RUN, names)
        names = [i.get('name') for i in self.introspect(self.run_.path).findall('interface')]
        self.assertIn(RUN, names)
        self.assertNotIn(ACTIVITY, names)

    def test_no_object_manager(self):
        for path in (PATH, PATH + '/run', self.run_.path):
            self.assertNotIn('org.freedesktop.DBus.ObjectManager', [i.get('name') for i in self.introspect(path).findall('interface')])

    def children(self, path):
        return {n.get('name').split('/')[0] for n in self.introspect(path).findall('node')}

    def test_tree(self):
        self.assertIn('run', self.children(PATH))
        self.assertIn(str(self.run_.id), self.children(PATH + '/run'))
        self.assertIn('activity', self.children(self.run_.path))
        self.assertIn('sign_2doff', self.children(self.run_.path + '/activity'))

    def test_canonical_paths_only(self):
        n = self.run_.id
        self.assertEqual(self.run_.activity_path('sign-off'), '%s/run/%d/activity/sign_2doff' % (PATH, n))
        for spelling in ('0%d', '00%d', '_3%d', '%d/', '4294967296%d', '%dx'):
            path = PATH + '/run/' + (spelling % n).rstrip('/')
            if path == self.run_.path:
                continue
            with self.error(UNKNOWN_OBJECT):
                self.daemon.get(path, RUN, 'State')
        for name in ('sign_2Doff', 'sign_2d_6fff', '_73ign_2doff', 'sign_off', 'sign_2doff_', 'sign_2', 'nosuch', 'a' * 65, 'sign_2doff/x'):
            with self.error(UNKNOWN_OBJECT):
                self.daemon.get(self.run_.path + '/activity/' + name, ACTIVITY, 'State')
        for path in (PATH + '/run/0', PATH + '/run/4294967295', PATH + '/run/%d/activity' % n, PATH + '/other'):
            with self.error(UNKNOWN_OBJECT):
                self.daemon.get(path, RUN, 'State')

    def test_no_property_is_writable(self):
        for path, interface in ((PATH, MANAGER), (self.run_.path, RUN), (self.run_.activity_path('sign-off'), ACTIVITY)):
            for name, value in self.daemon.get_all(path, interface).items():
                with self.error('org.freedesktop.DBus.Error.PropertyReadOnly'):
                    self.daemon.call(path, harness.PROPERTIES, 'Set', 'ssv', interface, name, value)

    def test_names_that_need_encoding(self):
        self.daemon.write_runbook('names', 'phases: [{name: p, activities: [{name: 1st.step_x-Y, run: "true"}]}]')
        run = self.daemon.start_run('names')
        self.assertEqual(run.activity_path('1st.step_x-Y'), run.path + '/activity/_31st_2estep_5fx_2dY')
        self.assertEqual(run.activity_get('1st.step_x-Y', 'Name'), '1st.step_x-Y')


if __name__ == '__main__':
    harness.main()
