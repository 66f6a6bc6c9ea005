"""The notification server of a person in the container, as a program of the host: screen.py UID, in the person's runtime directory. It says each change of the screen as a line
of JSON, and presses the button that a line [ID, KEY] on standard input names, or closes it where KEY is null. The bus lets nobody in but that person, so that is who this becomes when everything is loaded;
the bus is found by the working directory, for the container's paths are out of reach then."""

import json
import os
import sys
import types

from gi.repository import GLib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'agent'))
import agent_harness  # noqa: E402  pylint: disable=wrong-import-position


class Screen(agent_harness.Server):
    def do_Notify(self, path, *arguments):
        answer = super().do_Notify(path, *arguments)
        self.say()
        return answer

    def do_CloseNotification(self, path, ident):
        answer = super().do_CloseNotification(path, ident)
        self.say()
        return answer

    def say(self):
        there = [{'id': n.id, 'summary': n.summary, 'body': n.body, 'keys': n.keys} for n in self.there.values()]
        print(json.dumps({'there': there, 'closed': self.closed, 'notified': len(self.log)}), flush=True)

    def on_line(self, source, condition):
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        ident, key = json.loads(line)
        if key is None:
            self.dismiss(self.there[ident])
        else:
            self.press(self.there[ident], key)
        self.say()
        return True


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


become(int(sys.argv[1]))
loop = GLib.MainLoop()
screen = Screen(types.SimpleNamespace(address='unix:path=bus'))
screen.say()
GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, screen.on_line)
loop.run()
