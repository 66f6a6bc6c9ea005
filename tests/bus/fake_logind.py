"""logind, as far as runbookd sees it: a program that owns its name on a private bus and says to which session a process belongs.

A client joins a session of its own accord (`join`); whoever has joined none is in none, or with `users` somebody's all the same. A session is {uid, and what is odd}: with an `odd` the
answers are of a wrong kind, see ODD; `hang`: none, until the test says so; `error`: an error."""

import json
import sys

import dbus
import dbus.lowlevel
import dbus.service

from fake_service import FakeService, serve

LOGIND = 'org.freedesktop.login1'
PATH = '/org/freedesktop/login1'
CONTROL = 'org.runbookd1.FakeLogind'
SESSION_OF, USER_OF = ('Manager.GetSessionByPID', 'Manager.GetUserByPID')

# What GetAll says instead of the id and the owner of a session.
ODD = {
    'no-id': lambda id, uid: {'User': owner(uid)},
    'no-owner': lambda id, uid: {'Id': id},
    'nothing': lambda id, uid: {},
    'id-is-a-number': lambda id, uid: {'Id': dbus.UInt32(7), 'User': owner(uid)},
    'empty-id': lambda id, uid: {'Id': '', 'User': owner(uid)},
    'huge-id': lambda id, uid: {'Id': 'x' * 1000000, 'User': owner(uid)},
    'id-of-65': lambda id, uid: {'Id': 'x' * 65, 'User': owner(uid)},
    'control-characters': lambda id, uid: {'Id': '1\x1b[31m', 'User': owner(uid)},
    'other-letters': lambda id, uid: {'Id': 'ü', 'User': owner(uid)},
    'owner-is-a-number': lambda id, uid: {'Id': id, 'User': dbus.UInt32(uid)},
    'owner-is-a-name': lambda id, uid: {'Id': id, 'User': 'root'},
    'signed-uid': lambda id, uid: {'Id': id, 'User': dbus.Struct((dbus.Int32(-1), dbus.ObjectPath('/u')), signature='io')},
    'no-uid': lambda id, uid: {'Id': id, 'User': owner(0xffffffff)},
}


def path_of(session):
    return '%s/session/_%s' % (PATH, session.encode().hex())


def owner(uid):
    return dbus.Struct((dbus.UInt32(uid), dbus.ObjectPath('%s/user/_%d' % (PATH, uid))), signature='uo')


class Fake:
    """Without dbus.service for the objects: their paths, and what is odd about them, come and go."""

    def __init__(self, connection):
        self.connection = connection
        self.sessions, self.members, self.users, self.questions, self.held = {}, {}, {}, [], []
        connection.add_message_filter(self.filter)

    def filter(self, _, m):
        if m.get_type() != 1 or m.get_interface() == 'org.freedesktop.DBus.Peer':
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        args = m.get_args_list()
        if m.get_interface() == CONTROL:
            self.send(m, *getattr(self, m.get_member())(m, *args))
        else:
            self.questions.append((m.get_interface().removeprefix(LOGIND + '.') + '.' + m.get_member(), [str(a) if isinstance(a, str) else int(a) for a in args], not m.get_auto_start()))
            self.answer(m, args)
        return dbus.lowlevel.HANDLER_RESULT_HANDLED

    def send(self, m, signature='', *values):
        reply = dbus.lowlevel.MethodReturnMessage(m)
        if signature:
            reply.append(*values, signature=signature)
        self.connection.send_message(reply)

    def fail(self, m, name):
        self.connection.send_message(dbus.lowlevel.ErrorMessage(m, name, 'no'))

    # -- as logind

    def answer(self, m, args):
        if m.get_member() == 'GetSessionByPID':
            self.session_of(m, self.members.get(int(args[0])))
        elif m.get_member() == 'GetUserByPID':
            uid = self.users.get(int(args[0]))
            if uid is None:
                self.fail(m, LOGIND + '.NoUserForPID')
            else:
                self.send(m, 'o', '%s/user/_%d' % (PATH, uid))
        elif m.get_member() == 'GetAll' and '/user/_' in m.get_path():
            self.send(m, 'a{sv}', {'Name': 'somebody', 'UID': dbus.UInt32(int(m.get_path().rsplit('_', 1)[1]))})
        elif m.get_member() == 'GetAll':
            self.properties(m, bytes.fromhex(m.get_path().rsplit('_', 1)[1]).decode())
        else:
            self.fail(m, 'org.freedesktop.DBus.Error.UnknownMethod')

    def session_of(self, m, name):
        odd = self.sessions.get(name, {}).get('odd')
        if name is None:
            self.fail(m, LOGIND + '.NoSessionForPID')
        elif odd == 'hang':
            self.held.append((m, name))
        elif odd == 'error':
            self.fail(m, 'org.freedesktop.DBus.Error.Failed')
        elif odd == 'path-is-text':
            self.send(m, 's', path_of(name))
        elif odd == 'other-path':
            self.send(m, 'o', '/org/freedesktop/systemd1')
        else:
            self.send(m, 'o', path_of(name))

    def properties(self, m, name):
        session = self.sessions[name]
        odd = session.get('odd')
        if odd == 'hang-later':
            self.held.append((m, None))
        elif odd == 'no-object':
            self.fail(m, 'org.freedesktop.DBus.Error.UnknownObject')
        elif odd == 'no-dictionary':
            self.send(m, 's', 'Id')
        else:
            self.send(m, 'a{sv}', ODD.get(odd, lambda id, uid: {'Name': 'somebody', 'Id': id, 'Remote': True, 'User': owner(uid)})(name, session['uid']))

    # -- for tests

    def Join(self, m, session):
        driver = self.connection.get_object('org.freedesktop.DBus', '/org/freedesktop/DBus', introspect=False)
        pid = int(driver.GetConnectionUnixProcessID(m.get_sender(), dbus_interface='org.freedesktop.DBus'))
        if session.startswith('user:'):
            self.users[pid] = int(session.removeprefix('user:'))
        else:
            self.members[pid] = str(session)
        return ()

    def SetSessions(self, _, sessions):
        self.sessions, self.members, self.users, self.questions, self.held = json.loads(sessions), {}, {}, [], []
        return ()

    def Questions(self, _):
        return 's', json.dumps(self.questions)

    def Release(self, _):
        held, self.held = self.held, []
        for m, name in held:
            self.send(m, *(('o', path_of(name)) if name else ('a{sv}', {'Id': '1', 'User': owner(0)})))
        return ()


def join(connection, session):
    """This process is in that session from now on; 'user:1000': in none, but somebody's."""
    connection.call_blocking(LOGIND, PATH, CONTROL, 'Join', 's', (session,))


class FakeLogind(FakeService):
    def __init__(self, bus):
        super().__init__(bus, __file__, LOGIND, PATH, CONTROL)

    def set_sessions(self, **sessions):
        self.control('SetSessions', 's', json.dumps(sessions))

    def questions(self, method=None):
        return [q for q in json.loads(self.control('Questions')) if method in (None, q[0])]

    def release(self):
        self.control('Release')


if __name__ == '__main__':
    serve(sys.argv[1], LOGIND, Fake)
