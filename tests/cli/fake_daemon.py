"""A daemon with fixed data on the bus, for tests of runbookctl: everything that it answers is in `World`, so output can be compared to the letter. Its second face,
org.runbookd1.Test, lets a test change the world and ask what was called.

    python3 fake_daemon.py ADDRESS"""

import grp
import json
import os
import pwd
import sys
import tempfile
import time

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
from gi.repository import GLib

NAME = 'org.runbookd1'
PATH = '/org/runbookd1'
MANAGER, RUN, ACTIVITY = NAME + '.Manager', NAME + '.Run', NAME + '.Activity'
PROPERTIES = 'org.freedesktop.DBus.Properties'
ENGINE = 4294967295
T0 = 1700000000_000000                          # 2023-11-14 22:13:20 UTC
SEC = 1000000
HISTORY_PAGE = 7                                # small, so that clients have to page
LIST_PAGE = 50
LOG_PAGE = 1000
ME = pwd.getpwuid(os.getuid()).pw_name          # who runs the tests is who runs the program
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
HOSTILE = 'evil\x1b]0;title\x07\x1b[2J\x1b[31m\u202etxt\u009b1m\rover\x7f'


def encode(name):
    """As sd_bus_path_encode does it."""
    return ''.join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else '_%02x' % ord(c) for i, c in enumerate(name))


class Refusal(Exception):
    def __init__(self, name, text):
        super().__init__(text)
        self.name, self.text = name, text


def step(number, state='success', start=0, end=0, name=None, hook=None, exit_code=None, error=None):
    ident = name or '%s%d' % (hook + ':' if hook else 'step-', number)
    return {'name': name or ident, 'id': ident, 'hook': hook, 'state': state, 'exitCode': exit_code, 'error': error, 'outputs': {},
            'startedAt': start and T0 + int(start * SEC), 'finishedAt': end and T0 + int(end * SEC)}


def attempt(number, state, start, end, steps, cause='initial', error=None):
    return {'number': number, 'cause': cause, 'state': state, 'error': error, 'startedAt': T0 + int(start * SEC), 'finishedAt': end and T0 + int(end * SEC), 'steps': steps}


def activity(name, phase, state='pending', attempts=(), waiting=None, reason=None):
    return {'name': name, 'phase': phase, 'state': state, 'waitingFor': waiting, 'reason': reason, 'reusedFrom': None, 'error': None, 'nextRetryAt': 0,
            'outputs': {}, 'attempts': list(attempts)}


def phase(name, state='pending', reason=None, start=0, end=0):
    return {'name': name, 'state': state, 'reason': reason, 'startedAt': start and T0 + int(start * SEC), 'finishedAt': end and T0 + int(end * SEC)}


def error(message, code='EXIT'):
    return {'message': message, 'code': code, 'timestamp': T0}


class Run:
    def __init__(self, number, runbook, state, status, phases, activities, inputs=None, start=1.0, end=0.0, had_errors=False, reason=None):
        self.number, self.runbook = number, runbook
        self.path = '%s/run/%d' % (PATH, number)
        self.object = {'id': number, 'runbook': runbook, 'state': state, 'statusText': status, 'hadErrors': had_errors,
                       'pendingRequests': sum(a['waitingFor'] is not None for a in activities), 'inputs': inputs or {}, 'startedBy': 1000, 'startedByName': 'alice',
                       'replayOf': None, 'rootRun': number, 'trigger': 'manual', 'scheduledFor': 0, 'nextRetryAt': 0, 'pausedAt': 0, 'reason': reason, 'labels': {}, 'createdAt': T0, 'startedAt': start and T0 + int(start * SEC),
                       'finishedAt': end and T0 + int(end * SEC), 'attempt': 1, 'phases': phases, 'activities': activities}
        self.events = []
        self.logs = {}                          # (activity, attempt) → bytes
        self.files = {}
        self.ranges = {}                        # (activity, attempt, step) → (start, end)
        self.gone = {}                          # (activity, attempt) → bytes lost at the head
        self.requests = {}                      # activity → object of GetRequest
        self.owners = []
        self.event('run-created', 0, uid=1000, user='alice', runbook=runbook)

    def event(self, event_type, at, uid=ENGINE, user=None, activity=None, phase=None, attempt=None, step=None, **data):
        place = {k: v for k, v in (('activity', activity), ('phase', phase), ('attempt', attempt), ('step', step), ('user', user)) if v is not None}
        self.events.append((len(self.events) + 1, T0 + int(at * SEC), uid, event_type, activity or phase or '', json.dumps({**place, **data})))

    def log(self, name, number, step, text):
        data = self.logs.get((name, number), b'')
        start = self.ranges.get((name, number, step), (len(data), 0))[0]
        self.logs[name, number] = data + text
        if (name, number) in self.files:
            self.files[name, number].write(text)
        self.ranges[name, number, step] = (start, len(data) + len(text))
        return len(data) + len(text)

    def file(self, name, number):
        """The log as a file that grows with it, with a hole where its head is gone."""
        if (name, number) not in self.files:
            f = self.files[name, number] = tempfile.TemporaryFile(buffering=0)
            gone = self.gone.get((name, number), 0)
            os.truncate(f.fileno(), gone)
            f.seek(gone)
            f.write(self.logs[name, number][gone:])
        return self.files[name, number]

    def activity(self, name):
        for a in self.object['activities']:
            if a['name'] == name:
                return a
        raise Refusal('org.freedesktop.DBus.Error.UnknownObject', "Unknown object '%s'." % name)

    def properties(self):
        o = self.object
        u, t = dbus.UInt32, dbus.UInt64
        return {'Id': u(o['id']), 'Runbook': o['runbook'], 'CreatedAt': t(o['createdAt']), 'StartedBy': u(o['startedBy']), 'Trigger': o['trigger'], 'ReplayOf': u(o['replayOf'] or 0), 'RootRun': u(o['rootRun']),
                'Labels': dbus.Dictionary(o['labels'], signature='ss'), 'State': o['state'], 'StatusText': o['statusText'], 'PendingRequests': u(o['pendingRequests']),
                'HadErrors': bool(o['hadErrors']), 'ScheduledFor': t(o['scheduledFor']), 'StartedAt': t(o['startedAt']), 'FinishedAt': t(o['finishedAt']), 'NextRetryAt': t(o['nextRetryAt']),
                'Attempt': u(o['attempt']),
                'Phases': dbus.Array([(p['name'], p['state'], p['reason'] or '') for p in o['phases']], signature='(sss)')}

    def activity_properties(self, name):
        a = self.activity(name)
        q = self.requests.get(name, {})
        return {'Name': name, 'Phase': a['phase'], 'State': a['state'], 'WaitingFor': a['waitingFor'] or '', 'Title': q.get('title', ''),
                'Approvers': dbus.Array(q.get('approvers') or (self.owners if q else []), signature='s'), 'Deadline': dbus.UInt64(q.get('deadline', 0)), 'Attempt': dbus.UInt32(len(a['attempts'])),
                'NextRetryAt': dbus.UInt64(a['nextRetryAt'])}


def request(title, message, approvers, fields=(), deadline=0, required=1, context=None, kind='approval', failure=None, answers=()):
    return {'kind': kind, 'error': failure, 'title': title, 'message': message, 'context': context, 'required': required, 'openedAt': T0, 'deadline': deadline,
            'answers': [{'user': user, 'uid': uid, 'action': 'approve', 'comment': None} for user, uid in answers], 'approvers': list(approvers), 'fields': list(fields)}


def run_success():
    r = Run(1, 'ship', 'success', 'success', [phase('build', 'success', start=1, end=5), phase('publish', 'success', start=5, end=6.5)],
            [activity('dist', 'build', 'success',
                      [attempt(1, 'failed', 1, 3, [step(1, 'success', 1, 2), step(2, 'failed', 2, 3, name='compile', exit_code=2, error=error('exited with status 2'))],
                               error=error('exited with status 2')),
                       attempt(2, 'success', 4, 5, [step(1, 'success', 4, 4.5), step(2, 'success', 4.5, 5, name='compile')], cause='retry')]),
             activity('docs', 'build', 'skipped', reason="if: inputs.docs is false"),
             activity('upload', 'publish', 'success', [attempt(1, 'success', 5, 6.5, [step(1, 'success', 5, 6.2, exit_code=0), step(1, 'success', 6.2, 6.5, hook='post')])])],
            inputs={'version': '1.2', 'channel': 'beta', 'parts': ['a', 'b']}, end=6.5)
    e = r.event
    e('run-started', 1)
    e('phase-started', 1, phase='build')
    e('attempt-started', 1, activity='dist', attempt=1, cause='initial')
    e('step-started', 1, activity='dist', attempt=1, step='step-1')
    e('step-finished', 2, activity='dist', attempt=1, step='step-1', state='success', logEnd=r.log('dist', 1, 'step-1', b'configuring\n'))
    e('step-started', 2, activity='dist', attempt=1, step='compile')
    e('step-finished', 3, activity='dist', attempt=1, step='compile', state='failed', exitCode=2, error=error('exited with status 2'),
      logEnd=r.log('dist', 1, 'compile', b'cc -c a.c\na.c:1: error: \x1b[31mboom\x1b[0m\n'))
    e('attempt-finished', 3, activity='dist', attempt=1, state='failed', error=error('exited with status 2'))
    e('activity-backoff', 3, activity='dist', attempt=1, until=T0 + 4 * SEC)
    e('attempt-started', 4, activity='dist', attempt=2, cause='retry')
    e('step-started', 4, activity='dist', attempt=2, step='step-1')
    e('step-finished', 4.5, activity='dist', attempt=2, step='step-1', state='success', logEnd=r.log('dist', 2, 'step-1', b'configuring again\n'))
    e('step-started', 4.5, activity='dist', attempt=2, step='compile')
    e('step-finished', 5, activity='dist', attempt=2, step='compile', state='success', exitCode=0, logEnd=r.log('dist', 2, 'compile', b'cc -c a.c\nno newline at the end'))
    e('attempt-finished', 5, activity='dist', attempt=2, state='success')
    e('activity-finished', 5, activity='dist', attempt=2, state='success')
    e('phase-finished', 5, phase='build', state='success')
    e('something-new', 5, activity='dist', reason='a type of a later daemon')
    e('run-finished', 6.5, state='success')
    return r


def run_on_hold():
    r = Run(2, 'deploy', 'on-hold', '1 activity requires your input', [phase('sign-off', 'on-hold', start=1), phase('go')],
            [activity('qa', 'sign-off', 'on-hold', [attempt(1, 'running', 1, 0, [step(1, 'waiting-approval', 1)])], waiting='approval'), activity('roll', 'go')],
            inputs={'target': 'web'})
    fields = [{'name': 'note', 'type': 'string', 'description': None, 'required': True}, {'name': 'level', 'type': 'integer', 'description': 'how sure', 'required': False, 'default': 3},
              {'name': 'ring', 'type': 'choice', 'description': None, 'required': False, 'options': ['inner', 'outer']}]
    r.requests['qa'] = request('Deploy?', 'Deploy 1.2 to web?\nThink twice.', ['group:qa', 'alice'], fields, deadline=T0 + 86400 * SEC, required=2)
    return r


def run_hostile():
    r = Run(3, 'hostile', 'on-hold', HOSTILE, [phase('p', 'failed', reason=HOSTILE, start=1, end=2), phase('q', 'on-hold')],
            [activity('a', 'p', 'failed', [attempt(1, 'failed', 1, 2, [step(1, 'failed', 1, 2, name=None, exit_code=1, error=error(HOSTILE))], error=error(HOSTILE))], reason=HOSTILE),
             activity('b', 'q', 'on-hold', [attempt(1, 'running', 1, 0, [step(1, 'waiting-approval', 1)])], waiting='approval')],
            inputs={'text': HOSTILE}, reason=HOSTILE)
    r.object['startedByName'] = HOSTILE
    r.requests['b'] = request(HOSTILE, HOSTILE, [HOSTILE], [{'name': 'f', 'type': 'string', 'description': HOSTILE, 'required': False}], context=HOSTILE)
    text = HOSTILE.encode() + b' \xff\xfe \x00 end\n'
    r.event('attempt-started', 1, activity='a', attempt=1, cause='initial')
    r.event('step-started', 1, activity='a', attempt=1, step='step-1')
    r.event('step-finished', 2, activity='a', attempt=1, step='step-1', state='failed', error=error(HOSTILE), logEnd=r.log('a', 1, 'step-1', text))
    r.event('run-cancel', 2, uid=1000, user=HOSTILE, reason=HOSTILE)
    return r


def run_failed():
    r = Run(4, 'broken', 'failed', 'failed', [phase('only', 'failed', start=1, end=61)],
            [activity('work', 'only', 'failed', [attempt(1, 'failed', 1, 61, [step(1, 'failed', 1, 61, exit_code=1, error=error('exited with status 1')), step(2, 'skipped')],
                                                         error=error('exited with status 1'))]),
             activity('after', 'only', 'skipped', reason='work failed')], end=61, reason='work failed')
    lines = b''.join(b'line %d\n' % i for i in range(1, 501))
    r.gone['work', 1] = 4096
    r.event('run-started', 1)
    r.event('attempt-started', 1, activity='work', attempt=1, cause='initial')
    r.event('step-started', 1, activity='work', attempt=1, step='step-1')
    r.event('step-finished', 61, activity='work', attempt=1, step='step-1', state='failed', exitCode=1, error=error('exited with status 1'),
            logEnd=r.log('work', 1, 'step-1', bytes(4096) + lines))
    r.event('activity-finished', 61, activity='work', attempt=1, state='failed', error=error('exited with status 1'))
    r.event('run-finished', 61, state='failed', reason='work failed')
    return r


# ---- runs that failed, wait for a time, or are done again: added by Stage, with numbers of their own

STAGED = 11                                     # the first of them
FUTURE = 4102444800 * SEC                       # 2100-01-01 00:00:00 UTC


def failed_attempt(number, start, end, cause='initial', text='exited with status 1'):
    return attempt(number, 'failed', start, end, [step(1, 'failed', start, end, exit_code=1, error=error(text))], cause=cause, error=error(text))


def held(name, phase_name, attempts, text='exited with status 1'):
    a = activity(name, phase_name, 'on-hold', attempts, waiting='decision')
    a['error'] = error(text)
    return a


def run_held(number):
    """Two failures that wait for a decision, one of them with a deadline, and one activity in backoff."""
    backoff = activity('notes', 'go', 'backoff', [failed_attempt(1, 2, 3)])
    backoff['nextRetryAt'] = FUTURE
    r = Run(number, 'deploy', 'running', '2 activities require your input', [phase('build', 'success', start=1, end=2), phase('go', 'on-hold', start=2)],
            [activity('dist', 'build', 'success', [attempt(1, 'success', 1, 2, [step(1, 'success', 1, 2)])]),
             held('roll', 'go', [failed_attempt(1, 2, 3), failed_attempt(2, 3, 4, 'retry'), failed_attempt(3, 5, 6, 'manual')]), held('check', 'go', [failed_attempt(1, 2, 3)]), backoff])
    r.requests['roll'] = request('roll', '', [], kind='decision', failure=error('exited with status 1'))
    r.requests['check'] = request('check', '', ['group:ops', 'alice'], kind='decision', failure=error('exited with status 1'), deadline=T0 + 86400 * SEC)
    e = r.event
    e('run-started', 1, attempt=1)
    e('attempt-started', 2, activity='roll', attempt=1, cause='initial')
    e('attempt-finished', 3, activity='roll', attempt=1, state='failed', error=error('exited with status 1'))
    e('activity-held', 4, activity='roll', attempt=2, until=T0 + 86400 * SEC, error=error('exited with status 1'))
    e('inputs-changed', 4.2, uid=1000, user='alice', changes={'version': {'old': '1.2', 'new': '1.3'}, 'parts': {'old': None, 'new': ['a', 1]}}, reason='typing error')
    e('definition-changed', 4.4, uid=1000, user='alice', definition='0123456789abcdef0123', previous='fedcba9876543210fedc')
    e('activity-decided', 5, uid=1000, user='alice', activity='roll', action='retry', reason='the disk was full')
    e('attempt-started', 5, activity='roll', attempt=3, cause='manual')
    e('attempt-finished', 6, activity='roll', attempt=3, state='failed', error=error('exited with status 1'))
    e('activity-held', 6, activity='roll', attempt=3, error=error('exited with status 1'))
    return r


def run_one_held(number):
    r = Run(number, 'single', 'on-hold', '1 activity requires your input', [phase('go', 'on-hold', start=2)], [held('only', 'go', [failed_attempt(1, 2, 3)])])
    r.requests['only'] = request('only', '', [], kind='decision', failure=error('exited with status 1'))
    return r


def run_scheduled(number):
    r = Run(number, 'nightly', 'scheduled', 'scheduled', [phase('go')], [activity('work', 'go')], start=0)
    r.object['scheduledFor'] = FUTURE
    r.events.clear()
    r.event('run-created', 0, uid=1000, user='alice', runbook='nightly', until=FUTURE - 60 * SEC)
    r.event('run-rescheduled', 1, uid=1001, user='bob', until=FUTURE, reason='too early')
    return r


def run_paused(number):
    r = Run(number, 'slow', 'paused', 'paused', [phase('go', 'running', start=1)], [activity('work', 'go', 'running', [attempt(1, 'running', 1, 0, [step(1, 'running', 1)])])])
    r.object['pausedAt'] = T0 + 3 * SEC
    r.event('run-paused', 2, uid=1000, user='alice', reason='first time')
    r.event('run-resumed', 2.5, uid=1000, user='alice')
    r.event('run-paused', 3, uid=1001, user='bob', reason='the network is down')
    return r


def run_queued(number):
    r = Run(number, 'again', 'queued', 'queued', [phase('go')], [activity('work', 'go', attempts=[failed_attempt(1, 1, 2)])])
    r.object['nextRetryAt'] = FUTURE
    r.event('run-backoff', 2, until=FUTURE)
    return r


def run_exhausted(number):
    r = Run(number, 'again', 'exhausted', 'exhausted', [phase('go', 'failed', start=1, end=9)],
            [activity('work', 'go', 'failed', [failed_attempt(1, 1, 2), failed_attempt(2, 8, 9, 'run-retry')])], end=9, reason='phase go failed')
    r.object.update(attempt=2, replayUntil=T0 + 86400 * SEC)
    r.activity('work')['error'] = error('exited with status 1')
    r.event('run-backoff', 2, until=T0 + 8 * SEC)
    r.event('run-started', 8, attempt=2)
    return r


def run_dlq(number):
    r = Run(number, 'unlucky', 'dlq', 'dlq', [phase('go', 'failed', start=1, end=9)], [activity('work', 'go', 'failed', [failed_attempt(1, 1, 2)])], end=9,
            reason='work was interrupted more than 3 times')
    r.object['replayUntil'] = 0                 # for ever
    return r


def run_replayed(number):
    r = Run(number, 'deploy', 'success', 'success', [phase('build', 'success', start=1, end=2), phase('go', 'success', start=2, end=4)],
            [activity('dist', 'build', 'success'), activity('lint', 'build', 'ignored'), activity('roll', 'go', 'success', [attempt(1, 'success', 2, 4, [step(1, 'success', 2, 4)])]),
             activity('notes', 'go', 'ignored', [failed_attempt(1, 2, 3)]), activity('pages', 'go', 'failed', [failed_attempt(1, 2, 3)])], end=4, had_errors=True)
    r.object.update(replayOf=4, rootRun=2, trigger='replay')
    r.activity('dist')['reusedFrom'] = r.activity('lint')['reusedFrom'] = 4
    r.events.clear()
    r.event('run-created', 0, uid=1000, user='alice', runbook='deploy', trigger='replay', replayOf=4, reason='once more')
    r.event('run-workspace', 0.5, run=4)
    r.event('activity-reused', 0.5, activity='dist', state='success', run=4)
    r.event('run-start-now', 0.7, uid=1000, user='alice')
    r.event('activity-decided', 3, uid=1000, user='alice', activity='notes', action='retry', reason='why not')
    r.event('activity-decided', 3.5, uid=1001, user='bob', activity='notes', action='ignore', reason='only notes')
    r.event('activity-decided', 3.6, uid=1001, user='bob', activity='pages', action='abort')
    return r


def run_full(number):
    """There is no free place."""
    return Run(number, 'crowd', 'running', 'running', [phase('go', 'running', start=1)], [{**activity('work', 'go'), 'waitsForSlot': True}, activity('later', 'go')])


def run_cancelling(number):
    r = Run(number, 'ending', 'running', 'cancelling', [phase('go', 'running', start=1)], [activity('work', 'go')])
    r.event('run-cancel', 2, uid=1000, user='alice', reason='wrong branch')
    return r


def run_cancelled(number):
    r = Run(number, 'ending', 'cancelled', 'cancelled', [phase('go', 'cancelled', start=1, end=2)], [activity('work', 'go', 'cancelled')], end=2)
    r.object['replayUntil'] = FUTURE
    r.event('run-cancel', 2, uid=1000, user='alice', reason='wrong branch')
    return r


def run_waiting_input(number):
    r = Run(number, 'inputs', 'on-hold', '1 activity requires your input', [phase('go', 'on-hold', start=1)], [activity('work', 'go', 'on-hold', waiting='input')])
    r.requests['work'] = request('work', '', [], [{'name': 'version', 'type': 'string', 'required': True}, {'name': 'count', 'type': 'integer', 'required': True}], kind='input')
    return r


def run_turn(number):
    return Run(number, 'group', 'queued', 'queued', [phase('go')], [activity('work', 'go')], start=0)


STAGE = (run_held, run_one_held, run_scheduled, run_paused, run_queued, run_exhausted, run_dlq, run_replayed, run_full, run_cancelling, run_cancelled, run_waiting_input, run_turn)
HELD, ONE_HELD, SCHEDULED, PAUSED, QUEUED, EXHAUSTED, DLQ, REPLAYED, FULL, CANCELLING, CANCELLED, WAITING_INPUT, TURN = range(STAGED, STAGED + len(STAGE))

# ---- what people are asked: added by People, with numbers of their own

def can_answer(q, owners):
    """As the daemon says it to who runs the tests. A request may say it itself."""
    named = q['approvers'] or owners
    return q['kind'] == 'decision' or (all(a['uid'] != os.getuid() for a in q['answers']) and (not named or bool({ME, 'user:' + ME, 'group:' + MY_GROUP} & set(named))))


NOBODY_HERE = ['no-such-user-here', 'group:no-such-group-here']
FORM = [{'name': 'note', 'type': 'string', 'description': 'what to say', 'required': True}, {'name': 'level', 'type': 'integer', 'description': None, 'required': False, 'default': 3}]


def waits(number, runbook, **requests):
    """A run whose activities all wait."""
    r = Run(number, runbook, 'on-hold', '1 activity requires your input' if len(requests) == 1 else '%d activities require your input' % len(requests), [phase('go', 'on-hold', start=1)],
            [activity(name, 'go', 'on-hold', [attempt(1, 'running', 1, 0, [step(1, 'waiting-' + q['kind'], 1)])] if q['kind'] != 'decision' else [failed_attempt(1, 1, 2)], waiting=q['kind'])
             for name, q in requests.items()])
    r.requests.update(requests)
    return r


def run_asked(number):
    return waits(number, 'asked', name=request('By name', '', [ME]), user=request('By user:', '', ['user:' + ME, *NOBODY_HERE]), group=request('By group', '', [*NOBODY_HERE, 'group:' + MY_GROUP]),
                 others=request('Of others', '', NOBODY_HERE), anybody=request('Of anybody', '', []), given=request('Given', '', [ME], required=2, answers=[(ME, os.getuid())]),
                 own={**request('My own run', '', [ME]), 'allowStarter': False, 'canAnswer': False},
                 form=request('A form', '', [ME], FORM, kind='input'))


def run_counted(number):
    """One of two has approved; nobody is named, but the runbook has owners, whom only the property tells."""
    r = waits(number, 'counted', two=request('Two', '', ['alice', 'bob', 'group:qa'], required=2, answers=[('alice', 1000)], deadline=T0 + 86400 * SEC),
              three=request('Three', '', ['alice'], required=3, answers=[('alice', 1000), (None, 4242)]), owned=request('Owned', '', []))
    r.owners = ['olga', 'group:release']
    return r


def run_wanting(number):
    """Nothing has run yet: the run's inputs have no value."""
    r = waits(number, 'wanting', build=request('build', '', [], [{'name': 'version', 'type': 'string', 'description': None, 'required': True},
                                                                 {'name': 'count', 'type': 'integer', 'description': None, 'required': True}], kind='input'))
    r.object['activities'][0]['attempts'] = []
    return r


def run_audited(number):
    r = Run(number, 'audited', 'success', 'success', [phase('go', 'success', start=1, end=9)], [activity('qa', 'go', 'success')], end=9)
    e = r.event
    e('request-opened', 1, activity='qa', attempt=1, step='step-1', title='Ship?', kind='approval')
    e('request-answered', 2, uid=0, user='root', activity='qa', attempt=1, step='step-1', action='approve', override=True, reason='nobody is here', fields={'note': 'fine', 'level': 3})
    e('inputs-changed', 3, uid=1001, user='bob', changes={'version': {'old': '1.2', 'new': '1.3'}, 'token': {'old': '***', 'new': '***'}}, reason='typing error')
    e('request-answered', 4, uid=4242, activity='qa', attempt=1, step='step-1', action='reject')
    e('request-answered', 5, uid=1003, user='dave', activity='qa', attempt=1, step='step-1', action='approve', session='c7', loginUid=1003, loginUser='dave')
    e('run-cancel', 6, uid=0, user='root', session='12', loginUid=1002, loginUser='carol')
    e('run-cancel', 7, uid=4242, loginUid=1002)
    e('run-finished', 9, state='success')
    return r


PEOPLE = 31                                     # the first of them
ASKED, COUNTED, WANTING, AUDITED = range(PEOPLE, PEOPLE + 4)

RUNBOOKS = {
    'ship': {'name': 'ship', 'description': 'Build and publish', 'version': None, 'file': '/etc/runbookd/runbooks/ship.yaml', 'format': 'yaml', 'phases': [{'name': 'build'}, {'name': 'sign-off'}],
             'inputs': [{'name': 'version', 'type': 'string'}, {'name': 'count', 'type': 'integer'}, {'name': 'ratio', 'type': 'number'}, {'name': 'force', 'type': 'boolean'},
                        {'name': 'channel', 'type': 'choice'}, {'name': 'parts', 'type': 'list'}, {'name': 'map', 'type': 'object'}],
             'text': '# a comment\nphases:\n  - name: build\n    \x1b[31mred\n'},
}


class Script:
    """A run that goes on when the test says so, by the names of beats."""

    def __init__(self, world, number, runbook):
        self.world = world
        self.run = Run(number, runbook, 'running', 'running', [phase('build', 'running', start=1), phase('sign-off')], [activity('dist', 'build'), activity('qa', 'sign-off')])
        self.run.event('run-started', 1)

    def changed(self):
        self.world.signal(self.run.path, PROPERTIES, 'PropertiesChanged', 'sa{sv}as', RUN, dbus.Dictionary({'State': self.run.object['state']}, signature='sv'),
                          dbus.Array(['Phases'], signature='s'))

    def work(self):
        r, a = self.run, self.run.activity('dist')
        a.update(state='running', attempts=[attempt(1, 'running', 1, 0, [step(1, 'running', 1)])])
        r.event('attempt-started', 1, activity='dist', attempt=1, cause='initial')
        r.event('step-started', 1, activity='dist', attempt=1, step='step-1')
        r.log('dist', 1, 'step-1', b'hello from dist\n')

    def silent(self):
        """A step that runs and has no log."""
        self.run.event('attempt-started', 1, activity='dist', attempt=1, cause='initial')
        self.run.event('step-started', 1, activity='dist', attempt=1, step='step-1')

    def fail_many(self, count):
        self.run.object['activities'] += [activity('part-%d' % i, 'build', 'failed', [attempt(1, 'failed', 1, 2, [step(1, 'failed', 1, 2, error=error('no'))], error=error('no'))])
                                          for i in range(count)]
        for i in range(count):
            self.run.log('part-%d' % i, 1, 'step-1', b'why %d\n' % i)

    def long_line(self, size):
        end = self.run.log('dist', 1, 'step-1', b'x' * size)
        self.run.event('attempt-started', 1, activity='dist', attempt=1, cause='initial')
        self.run.event('step-started', 1, activity='dist', attempt=1, step='step-1')
        self.run.event('step-finished', 3, activity='dist', attempt=1, step='step-1', state='success', exitCode=0, logEnd=end)

    def long_input(self, size):
        self.run.object['inputs'] = {'long': 'y' * size}

    def more(self):
        self.run.log('dist', 1, 'step-1', b'one more line\n')

    def worked(self):
        r, a = self.run, self.run.activity('dist')
        a.update(state='success', attempts=[attempt(1, 'success', 1, 3, [step(1, 'success', 1, 3)])])
        r.object['phases'][0] = phase('build', 'success', start=1, end=3)
        r.event('step-finished', 3, activity='dist', attempt=1, step='step-1', state='success', exitCode=0, logEnd=len(r.logs['dist', 1]))
        r.event('attempt-finished', 3, activity='dist', attempt=1, state='success')
        r.event('activity-finished', 3, activity='dist', attempt=1, state='success')

    def hold(self, title='Sign-off', approver=ME, whose=''):
        r, a = self.run, self.run.activity('qa')
        a.update(state='on-hold', waitingFor='approval', attempts=[attempt(1, 'running', 3, 0, [step(1, 'waiting-approval', 3)])])
        r.object.update(state='on-hold', statusText='1 activity requires your input', pendingRequests=1)
        r.object['phases'][1] = phase('sign-off', 'on-hold', start=3)
        r.requests['qa'] = request(title, 'Ship it?\nSecond line.', [approver],
                                   [{'name': 'note', 'type': 'string', 'description': None, 'required': True}, {'name': 'level', 'type': 'integer', 'description': 'how sure',
                                                                                                             'required': False, 'default': 3}])
        r.requests['qa'].update({'allowStarter': False, 'canAnswer': False} if whose == 'own' else {})
        r.event('attempt-started', 3, activity='qa', attempt=1, cause='initial')
        r.event('request-opened', 3, activity='qa', attempt=1, step='step-1', title=title, kind='approval')
        r.event('run-state', 3, state='on-hold')

    def answered(self, approve=True, user='alice', comment=None):
        r, a = self.run, self.run.activity('qa')
        state = 'success' if approve else 'failed'
        a.update(state=state, waitingFor=None, attempts=[attempt(1, state, 3, 4, [step(1, state, 3, 4)])])
        r.object.update(state='running', statusText='running', pendingRequests=0)
        r.object['phases'][1] = phase('sign-off', state, start=3, end=4)
        r.requests.pop('qa', None)
        more = {'reason': comment} if comment else {}
        r.event('request-answered', 4, uid=1000, user=user, activity='qa', attempt=1, step='step-1', action='approve' if approve else 'reject', **more)
        r.event('step-finished', 4, activity='qa', attempt=1, step='step-1', state=state)
        r.event('run-state', 4, state='running')

    def held(self, text='exited with status 1'):
        """dist fails and waits for a decision."""
        r, a = self.run, self.run.activity('dist')
        number = len(a['attempts']) or 1
        a.update(held('dist', 'build', [failed_attempt(i + 1, 1, 3) for i in range(number)], text))
        r.object.update(state='on-hold', statusText='1 activity requires your input', pendingRequests=1)
        r.object['phases'][0] = phase('build', 'on-hold', start=1)
        r.requests['dist'] = request('dist', '', [], kind='decision', failure=error(text))
        r.event('attempt-finished', 3, activity='dist', attempt=number, state='failed', error=error(text))
        r.event('activity-held', 3, activity='dist', attempt=number, error=error(text))
        r.event('run-state', 3, state='on-hold')

    def decided(self, action='ignore', user='alice', comment=None):
        r, a = self.run, self.run.activity('dist')
        r.requests.pop('dist', None)
        a.update(waitingFor=None, state={'ignore': 'ignored', 'abort': 'failed', 'retry': 'running'}[action])
        r.object.update(state='running', statusText='running', pendingRequests=0)
        r.event('activity-decided', 4, uid=1000, user=user, activity='dist', action=action, **({'reason': comment} if comment else {}))
        if action == 'retry':
            a['error'] = None
            number = len(a['attempts']) + 1
            a['attempts'].append(attempt(number, 'running', 4, 0, [step(1, 'running', 4)], cause='manual'))
            r.event('attempt-started', 4, activity='dist', attempt=number, cause='manual')
        else:
            r.event('activity-finished', 4, activity='dist', state=a['state'], **({'reason': comment} if comment else {}))
        r.event('run-state', 4, state='running')

    def gave_up_waiting(self):
        """Nobody decided in time."""
        r, a = self.run, self.run.activity('dist')
        r.requests.pop('dist', None)
        a.update(waitingFor=None, state='failed')
        r.object.update(state='running', statusText='running', pendingRequests=0)
        r.event('activity-finished', 4, activity='dist', state='failed', error=error('nobody decided in time', 'INPUT_TIMEOUT'))

    def wants(self):
        r, a = self.run, self.run.activity('dist')
        a.update(state='on-hold', waitingFor='input')
        r.object.update(state='on-hold', statusText='1 activity requires your input', pendingRequests=1)
        r.requests['dist'] = request('dist', '', [], [{'name': 'version', 'type': 'string', 'description': 'of the release', 'required': True},
                                                      {'name': 'count', 'type': 'integer', 'description': None, 'required': True}], kind='input')
        r.event('inputs-wanted', 2, activity='dist', inputs=['version', 'count'])
        r.event('run-state', 2, state='on-hold')

    def form(self):
        """A step that asks."""
        r, a = self.run, self.run.activity('dist')
        a.update(state='on-hold', waitingFor='input', attempts=[attempt(1, 'running', 1, 0, [step(1, 'waiting-input', 1)])])
        r.object.update(state='on-hold', statusText='1 activity requires your input', pendingRequests=1)
        r.requests['dist'] = request('A form', 'Fill it in.', [ME], FORM, kind='input')
        r.event('attempt-started', 2, activity='dist', attempt=1, cause='initial')
        r.event('request-opened', 2, activity='dist', attempt=1, step='step-1', title='A form', kind='input')
        r.event('run-state', 2, state='on-hold')

    def provided(self, fields=None, comment=None):
        r, a = self.run, self.run.activity('dist')
        r.requests.pop('dist', None)
        r.object.update(state='running', statusText='running', pendingRequests=0)
        if a['attempts']:
            r.event('request-answered', 4, uid=1000, user='alice', activity='dist', attempt=1, step='step-1', action='provide', fields=fields or {})
            r.event('step-finished', 4, activity='dist', attempt=1, step='step-1', state='success')
            a.update(state='success', waitingFor=None)
        else:
            r.event('inputs-changed', 4, uid=1000, user='alice', changes={k: {'old': None, 'new': v} for k, v in (fields or {'version': '2'}).items()})
            a.update(state='pending', waitingFor=None)
        r.event('run-state', 4, state='running')

    def other_input(self):
        self.run.event('inputs-changed', 4, uid=1001, user='bob', changes={'channel': {'old': 'beta', 'new': 'stable'}})

    def tell_with(self, event_type, data):
        self.run.event(event_type, 4, **data)

    def grow(self, count):
        """Many activities at once: more than a terminal has rows."""
        self.run.object['activities'] += [activity('part-%d' % i, 'build', 'success' if i < count - 1 else 'running', [attempt(1, 'running', 1, 0, [step(1, 'running', 1)])])
                                          for i in range(count)]

    def end(self, state='success'):
        self.run.object.update(state=state, statusText=state, pendingRequests=0, finishedAt=T0 + 5 * SEC)
        self.run.event('run-finished', 5, state=state)


class World:
    def __init__(self, connection):
        self.connection = connection
        self.runs = {r.number: r for r in (run_success(), run_on_hold(), run_hostile(), run_failed())}
        self.scripts = {}
        self.calls = []
        self.questions = {}                     # member → for each call: may a password be asked for?
        self.auto = {}                          # what the next start does by itself: list of beats
        self.last = 0
        self.refuse = {}                        # member → [error, text]: the next call of it fails so
        self.forgotten = {}

    # -- the bus

    def signal(self, path, interface, member, signature, *args):
        m = dbus.lowlevel.SignalMessage(path, interface, member)
        m.append(*args, signature=signature)
        self.connection.send_message(m)

    def handle(self, connection, message):
        if message.get_type() != 1 or not (message.get_path() or '').startswith(PATH):
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        try:
            signature, values = self.dispatch(message)
            reply = dbus.lowlevel.MethodReturnMessage(message)
            if signature:
                reply.append(*values, signature=signature)
        except Refusal as e:
            reply = dbus.lowlevel.ErrorMessage(message, e.name, e.text)
        except Exception as e:  # pylint: disable=broad-except
            reply = dbus.lowlevel.ErrorMessage(message, 'org.freedesktop.DBus.Error.Failed', 'the fake daemon failed: %r' % e)
        connection.send_message(reply)
        return dbus.lowlevel.HANDLER_RESULT_HANDLED

    def dispatch(self, message):
        interface, member, path = message.get_interface(), message.get_member(), message.get_path()
        args = message.get_args_list()
        if interface == NAME + '.Test':
            return self.test(member, *args)
        self.questions.setdefault(member, []).append(bool(message.get_allow_interactive_authorization()))
        self.calls.append({'member': member, 'path': path, 'args': plain(args), 'time': time.monotonic()})
        if member in self.refuse:
            raise Refusal(*self.refuse.pop(member))
        if interface == PROPERTIES:
            return self.properties(member, path, *args)
        number, name = self.parse(path)
        if number is None:
            return getattr(self, 'manager_' + member)(*args)
        run = self.run(number)
        return getattr(self, 'activity_' + member)(run, name, *args) if name else getattr(self, 'run_' + member)(run, *args)

    @staticmethod
    def parse(path):
        parts = path[len(PATH):].strip('/').split('/')
        if parts == ['']:
            return None, None
        name = ''.join(chr(int(p[:2], 16)) + p[2:] if i else p for i, p in enumerate(parts[3].split('_'))) if len(parts) == 4 else None
        return int(parts[1]), name

    def run(self, number):
        if number not in self.runs:
            raise Refusal(NAME + '.Error.NoSuchRun', 'There is no run %d.' % number)
        return self.runs[number]

    # -- org.freedesktop.DBus.Properties

    def properties(self, member, path, interface, name=None):
        number, activity_name = self.parse(path)
        if number is None:
            values = {'Version': '9.9.9', 'RunsActive': dbus.UInt32(1), 'RunsOnHold': dbus.UInt32(2), 'RunsDeadLetter': dbus.UInt32(3)}
        else:
            run = self.run(number)
            values = run.activity_properties(activity_name) if activity_name else run.properties()
        return ('a{sv}', [dbus.Dictionary(values, signature='sv')]) if member == 'GetAll' else ('v', [values[name]])

    # -- Manager

    def manager_StartRun(self, runbook, inputs, options):
        if runbook not in RUNBOOKS:
            raise Refusal(NAME + '.Error.NoSuchRunbook', 'There is no runbook "%s"; there is "ship".' % runbook)
        return self.new_run(runbook)

    def new_run(self, runbook):
        number = max(self.runs) + 1
        script = Script(self, number, runbook)
        self.scripts[number] = script
        self.runs[number] = script.run
        self.last = number
        for beat in self.auto:
            self.beat(number, *beat)
        return 'uo', [dbus.UInt32(number), script.run.path]

    def manager_ListRunbooks(self):
        rows = [(b['name'], b['description'], b['file'], '') for b in RUNBOOKS.values()]
        rows.append(('wrong', '', '/etc/runbookd/runbooks/wrong.yaml', '3:5: a phase needs "activities"'))
        return 'a(ssss)', [dbus.Array(rows, signature='(ssss)')]

    def manager_GetRunbook(self, name):
        if name not in RUNBOOKS:
            raise Refusal(NAME + '.Error.NoSuchRunbook', 'There is no runbook "%s"; there is "ship".' % name)
        return 's', [json.dumps(RUNBOOKS[name])]

    def manager_ListRuns(self, options):
        rows = []
        for number in sorted(self.runs, reverse=True):
            o = self.runs[number].object
            if ('States' in options and o['state'] not in options['States']) or ('Before' in options and number >= options['Before']):
                continue
            rows.append((number, o['runbook'], o['state'], o['statusText'], o['createdAt'], o['startedAt'], o['finishedAt'], self.runs[number].path))
        limit = int(options.get('Limit', 0)) or LIST_PAGE
        return 'a(usssttto)', [dbus.Array(rows[:min(limit, LIST_PAGE)], signature='(usssttto)')]

    def manager_GetRun(self, number):
        return 'o', [self.run(int(number)).path]

    def manager_ListRequests(self):
        rows = []
        for r in self.runs.values():
            for name, q in r.requests.items():
                rows.append((r.number, '%s/activity/%s' % (r.path, encode(name)), name, q['kind'], q['title'], q['message'], dbus.Array(q['approvers'] or r.owners, signature='s'),
                             dbus.UInt64(q['deadline'])))
        return 'a(uossssast)', [dbus.Array(rows, signature='(uossssast)')]

    def manager_Reload(self, options):
        return '', []

    # -- Run

    def run_Describe(self, run):
        return 's', [json.dumps(run.object)]

    def run_ListActivities(self, run):
        rows = [(a['name'], a['phase'], a['state'], len(a['attempts']), '%s/activity/%s' % (run.path, encode(a['name']))) for a in run.object['activities']]
        return 'a(sssuo)', [dbus.Array(rows, signature='(sssuo)')]

    def run_GetHistory(self, run, first, most):
        rows = [e for e in run.events if e[0] >= first][:min(int(most) or HISTORY_PAGE, HISTORY_PAGE)]
        return 'a(utusss)', [dbus.Array(rows, signature='(utusss)')]

    def run_Cancel(self, run, options):
        if run.number in self.scripts:
            run.event('run-cancel', 4, uid=1000, user='alice')
            self.beat(run.number, 'end', 'cancelled')
        return '', []

    def acted(self, run, *args):
        return '', []

    run_StartNow = run_Pause = run_Resume = run_SetInputs = run_Reschedule = acted

    def run_GetInputs(self, run):
        return 'a{sv}', [dbus.Dictionary(run.object['inputs'], signature='sv')]

    def run_Replay(self, run, options):
        return self.new_run(run.runbook)

    run_Rerun = run_Replay

    # -- Activity

    def decide(self, run, name, options, action):
        if run.activity(name)['waitingFor'] != 'decision':
            raise Refusal(NAME + '.Error.WrongState', '%s waits for no decision.' % name)
        if options.get('Comment') == 'wrong':
            raise Refusal(NAME + '.Error.InvalidInput', 'not so')
        if run.number in self.scripts:
            self.scripts[run.number].decided(action, comment=options.get('Comment'))
            self.scripts[run.number].changed()
        return '', []

    def activity_Retry(self, run, name, options):
        return self.decide(run, name, options, 'retry')

    def activity_Ignore(self, run, name, options):
        return self.decide(run, name, options, 'ignore')

    def activity_Abort(self, run, name, options):
        return self.decide(run, name, options, 'abort')

    def activity_Describe(self, run, name):
        return 's', [json.dumps(run.activity(name))]

    def activity_GetRequest(self, run, name):
        run.activity(name)
        if name not in run.requests:
            raise Refusal(NAME + '.Error.WrongState', '%s waits for nobody.' % name)
        return 's', [json.dumps({'canAnswer': can_answer(run.requests[name], run.owners), **run.requests[name]})]

    def answer(self, run, name, options, approve):
        run.activity(name)
        if name not in run.requests:
            raise Refusal(NAME + '.Error.WrongState', '%s waits for nobody.' % name)
        if run.number in self.scripts:
            self.scripts[run.number].answered(approve, comment=options.get('Comment'))
            self.scripts[run.number].changed()
        return '', []

    def activity_Approve(self, run, name, options):
        if any(v == 'wrong' for v in options.get('Fields', {}).values()):
            raise Refusal(NAME + '.Error.InvalidInput', 'field "note" must not be "wrong"')
        return self.answer(run, name, options, True)

    def activity_Provide(self, run, name, options):
        fields = plain(options.get('Fields', {}))
        run.activity(name)
        if name not in run.requests:
            raise Refusal(NAME + '.Error.AlreadyAnswered', '%s has its input already.' % name)
        if 'wrong' in fields.values():
            raise Refusal(NAME + '.Error.InvalidInput', 'it must not be "wrong"')
        if run.number in self.scripts:
            self.scripts[run.number].provided(fields, options.get('Comment'))
            self.scripts[run.number].changed()
        return '', []

    def activity_Reject(self, run, name, options):
        return self.answer(run, name, options, False)

    @staticmethod
    def log_range(run, name, number, step_id):
        run.activity(name)
        number = int(number) or max((n for a, n in run.logs if a == name), default=0)
        if (name, number) not in run.logs:
            raise Refusal(NAME + '.Error.WrongState', 'There is no log of this.')
        data = run.logs[name, number]
        start, end = run.ranges[name, number, step_id] if step_id else (0, len(data))
        return data, start, end, run.gone.get((name, number), 0)

    def activity_OpenLog(self, run, name, number, step_id):
        _, start, _, _ = self.log_range(run, name, number, step_id)
        fd = os.open('/proc/self/fd/%d' % run.file(name, int(number) or max(n for a, n in run.logs if a == name)).fileno(), os.O_RDONLY)
        os.lseek(fd, start, os.SEEK_SET)
        value = dbus.types.UnixFd(fd)
        os.close(fd)
        return 'h', [value]

    def activity_ReadLog(self, run, name, number, step_id, offset):
        data, start, end, gone = self.log_range(run, name, number, step_id)
        at = max(start + int(offset), gone)
        chunk = data[at:min(end, at + LOG_PAGE)]
        over = at + len(chunk) >= end and run.object['finishedAt'] > 0
        return 'tayb', [dbus.UInt64(at + len(chunk) - start), dbus.ByteArray(chunk), over]

    # -- org.runbookd1.Test

    def beat(self, number, name, *args):
        getattr(self.scripts[number], name)(*args)
        self.scripts[number].changed()
        if name == 'end':
            r = self.runs[number]
            self.signal(PATH, MANAGER, 'RunFinished', 'uoss', dbus.UInt32(number), r.path, r.runbook, r.object['state'])

    def test(self, member, *args):
        if member == 'Beat':
            self.beat(int(args[0]), *json.loads(args[1]))
        elif member == 'Auto':
            self.auto = json.loads(args[0])
        elif member == 'Refuse':
            self.refuse = json.loads(args[0])
        elif member == 'Calls':
            calls, self.calls, self.questions = self.calls, [], {}
            return 's', [json.dumps(calls)]
        elif member == 'Last':
            return 'u', [dbus.UInt32(self.last)]
        elif member == 'Flood':
            for _ in range(int(args[1])):
                self.signal(self.run(int(args[0])).path, PROPERTIES, 'PropertiesChanged', 'sa{sv}as', RUN, dbus.Dictionary({}, signature='sv'), dbus.Array(['Phases'], signature='s'))
        elif member == 'Set':
            self.run(int(args[0])).object.update(json.loads(args[1]))
        elif member == 'Stage':
            self.runs.update((STAGED + i, make(STAGED + i)) for i, make in enumerate(STAGE))
        elif member == 'Questions':
            return 's', [json.dumps(self.questions.get(args[0], []))]
        elif member == 'Forget':                # what a run asks
            self.forgotten[int(args[0])] = self.run(int(args[0])).requests
            self.run(int(args[0])).requests = {}
        elif member == 'Remember':
            for number, requests in self.forgotten.items():
                self.run(number).requests = requests
            self.forgotten = {}
        elif member == 'People':
            self.runs.update((PEOPLE + i, make(PEOPLE + i)) for i, make in enumerate((run_asked, run_counted, run_wanting, run_audited)))
        elif member == 'AddRuns':
            for i in range(int(args[0])):
                number = max(self.runs) + 1
                state = args[1] if len(args) > 1 else 'success'
                self.runs[number] = Run(number, 'many', state, state, [], [], end=2)
        return '', []


def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dbus.Boolean):
        return bool(value)
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(sys.argv[1])
    world = World(connection)
    connection.add_message_filter(world.handle)
    assert connection.request_name(NAME, 4) == 1
    print('ready', flush=True)
    GLib.MainLoop().run()


if __name__ == '__main__':
    main()
