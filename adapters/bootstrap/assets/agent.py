# ebb: clearml-agent behind a fence. Usage: agent.py RUN-DIRECTORY AGENT-ARGUMENTS…
# Files in the run directory:
#   lock      held while the agent asks the server for a task
#   drain     made by the supervisor: while it is there, the agent gets no task
#   task      the task that the agent has; ? while it asks and when the answer was odd
#   pulled    the last task that it got, and when
#   fenced    the agent has asked through this fence, so the files above can be trusted
#   answered  touched when the server answered the agent
# Only this process is fenced: what the agent starts runs clearml_agent as ever.
import datetime
import fcntl
import os
import runpy
import sys

run = sys.argv.pop(1)
sys.path[0] = os.getcwd()


def put(name, text):
    path = os.path.join(run, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def drop(name):
    try:
        os.unlink(os.path.join(run, name))
    except FileNotFoundError:
        pass


def nothing(request):
    """What the server answers when its queue is empty."""
    import requests

    answer = requests.Response()
    answer.status_code, answer.reason = 200, "OK"
    answer.url, answer.request = request.url, request
    answer.headers["Content-Type"] = "application/json"
    answer.encoding, answer.elapsed = "utf-8", datetime.timedelta(0)
    answer._content = b'{"meta":{"result_code":200,"result_subcode":0,"result_msg":"OK"},"data":{}}'
    return answer


def once(session, request, send, arguments):
    # The adapter's own retries can take hours, and the lock is held. The agent comes back by itself.
    adapter = session.get_adapter(request.url)
    retries = adapter.max_retries
    try:
        adapter.max_retries = retries.new(total=0)
        return send(session, request, **arguments)
    finally:
        adapter.max_retries = retries


def pull(session, request, send, arguments):
    try:
        # The daemon asks only when it has no task.
        drop("task")
        put("fenced", "")
        if os.path.exists(os.path.join(run, "drain")):
            return nothing(request)
        put("task", "?")
    except OSError as e:
        return unfenced(session, request, send, arguments, e)
    try:
        answer = once(session, request, send, arguments)
    except Exception:
        drop("task")
        raise
    try:
        put("answered", "")
        entry = (answer.json().get("data") or {}).get("entry") or {}
        if not answer.ok or not entry:
            drop("task")
        else:
            put("task", str(entry["task"]))
            put("pulled", "%s %s" % (datetime.datetime.now(), entry["task"]))
    except Exception as e:
        # It may be a task all the same: the supervisor has to take it for one.
        print("ebb: an odd answer to queues.get_next_task: %r" % e)
    return answer


def unfenced(session, request, send, arguments, reason):
    print("ebb: no fence: %r" % reason)
    try:
        drop("fenced")
    except OSError:
        pass
    return send(session, request, **arguments)


def fence():
    import requests

    send = requests.Session.send

    def fenced(self, request, **arguments):
        if not (request.url or "").split("?")[0].rstrip("/").endswith("/queues.get_next_task"):
            return send(self, request, **arguments)
        try:
            lock = open(os.path.join(run, "lock"), "a")
        except OSError as e:
            return unfenced(self, request, send, arguments, e)
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return pull(self, request, send, arguments)

    requests.Session.send = fenced


# In services mode the daemon asks while its tasks run, so the fence would know nothing.
if "--services-mode" not in sys.argv:
    try:
        fence()
    except Exception as e:
        print("ebb: no fence: %r" % e)
runpy.run_module("clearml_agent", run_name="__main__", alter_sys=True)
