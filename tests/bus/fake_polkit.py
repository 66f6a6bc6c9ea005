"""polkit, as far as runbookd sees it: a program that owns its name on a private bus, answers questions by rules that a test gives it, and remembers them.

A rule is {uid, action, runbook, answer}; what it leaves out matches anything, and the first that matches holds. Answers: yes, no, auth (a challenge, and yes where a person may
be asked), challenge (also then), wrong and dismissed (a challenge; who is then asked gives a wrong password, or closes the dialog), cancelled (an error), hold (none, until the test says
which), prompt (a challenge, and none while a person is asked). Without a rule the shipped policy holds, for people whom nobody asks for passwords."""

import json
import sys

import dbus
import dbus.service

from fake_service import FakeService, serve

POLKIT = 'org.freedesktop.PolicyKit1'
AUTHORITY = '/org/freedesktop/PolicyKit1/Authority'
CONTROL = 'org.runbookd1.FakePolkit'
ANSWER = 'org.runbookd1.answer'


class Cancelled(dbus.DBusException):
    _dbus_error_name = POLKIT + '.Error.Cancelled'


class Authority(dbus.service.Object):
    def __init__(self, connection):
        self.rules, self.questions, self.held = [], [], {}
        super().__init__(connection, AUTHORITY)

    def uid_of(self, name):
        driver = self.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False)
        try:
            return int(driver.GetConnectionUnixUser(name, dbus_interface='org.freedesktop.DBus'))
        except dbus.DBusException:
            return -1

    def find(self, question):
        for rule in self.rules:
            if all(rule.get(key, value) == value for key, value in (('uid', question['uid']), ('action', question['action']), ('runbook', question['details'].get('runbook')))):
                return rule['answer']
        return 'yes' if question['action'] == ANSWER else 'challenge'

    @staticmethod
    def reply(answer, flags, done, failed):
        asked = bool(flags & 1)
        if answer == 'cancelled':
            failed(Cancelled('the question was withdrawn'))
        else:
            yes = answer == 'yes' or (answer == 'auth' and asked)
            challenge = not yes and (answer in ('auth', 'challenge', 'prompt') or (answer in ('wrong', 'dismissed') and not asked))
            details = {'polkit.dismissed': 'true'} if answer == 'dismissed' and asked else {}
            done(dbus.Struct((yes, challenge, dbus.Dictionary(details, signature='ss')), signature='bba{ss}'))

    @dbus.service.method(POLKIT + '.Authority', in_signature='(sa{sv})sa{ss}us', out_signature='(bba{ss})', async_callbacks=('done', 'failed'))
    def CheckAuthorization(self, subject, action, details, flags, cancellation, done, failed):
        name = str(subject[1]['name'])
        question = {'kind': str(subject[0]), 'name': name, 'uid': self.uid_of(name), 'action': str(action), 'details': {str(k): str(v) for k, v in details.items()},
                    'flags': int(flags), 'cancellation': str(cancellation), 'cancelled': False}
        self.questions.append(question)
        answer = self.find(question)
        if answer == 'hold' or (answer == 'prompt' and flags & 1):
            self.held[question['cancellation']] = (flags, done, failed)
        else:
            self.reply(answer, flags, done, failed)

    @dbus.service.method(POLKIT + '.Authority', in_signature='s')
    def CancelCheckAuthorization(self, cancellation):
        self.held.pop(str(cancellation), None)
        for question in self.questions:
            question['cancelled'] |= question['cancellation'] == cancellation

    @dbus.service.method(CONTROL, in_signature='s')
    def SetRules(self, rules):
        self.rules, self.questions, self.held = json.loads(rules), [], {}

    @dbus.service.method(CONTROL, out_signature='s')
    def Questions(self):
        return json.dumps(self.questions)

    @dbus.service.method(CONTROL, in_signature='s')
    def Release(self, answer):
        held, self.held = self.held, {}
        for flags, done, failed in held.values():
            self.reply(answer, flags, done, failed)


class FakePolkit(FakeService):
    def __init__(self, bus):
        super().__init__(bus, __file__, POLKIT, AUTHORITY, CONTROL)

    def set_rules(self, *rules):
        self.control('SetRules', 's', json.dumps(rules))

    def questions(self):
        return json.loads(self.control('Questions'))

    def release(self, answer='yes'):
        self.control('Release', 's', answer)


if __name__ == '__main__':
    serve(sys.argv[1], POLKIT, Authority)
