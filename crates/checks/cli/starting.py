"""Starting and stopping: the first run, a port in use, files that cannot be read or are wrong."""

import os
import shutil
import signal
import socket
import subprocess
import time

from tool import BIN, Serving, directory, environment, free_port, run


def write(cwd, text):
    """A configuration file in a directory; its path."""
    path = os.path.join(cwd, "mainstay.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def serve_once(*arguments, cwd):
    """`serve` that is expected to end by itself."""
    ports = ("--listen", f"127.0.0.1:{free_port()}", "--admin-listen", f"127.0.0.1:{free_port()}")
    return run("serve", *ports, *arguments, cwd=cwd)


def a_first_run_needs_nothing_and_its_curl_line_works():
    with Serving() as server:
        server.key()
        output = server.output()
        assert "simulator" in output, f"it does not say that the simulator answers: {output}"
        line = curl_line(output)
        if shutil.which("curl"):
            done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0 and "choices" in done.stdout, (line, done.stdout, done.stderr)
        assert os.path.exists(os.path.join(server.cwd, "mainstay.db")), os.listdir(server.cwd)


def curl_line(output):
    """The printed command, lines joined where they end in a backslash."""
    lines = output.splitlines()
    start = next(n for n, text in enumerate(lines) if text.strip().startswith("curl "))
    end = start
    while lines[end].rstrip().endswith("\\"):
        end += 1
    return "\n".join(lines[start:end + 1]).strip()


def a_second_run_keeps_the_key_and_does_not_print_it():
    with Serving() as server:
        key, cwd = server.key(), server.cwd
        assert server.stop() == 0, server.output()
    with Serving(cwd=cwd) as server:
        assert key not in server.output(), "the key was printed again"
        done = subprocess.run(
            ["python3", "-c", ASK, f"http://127.0.0.1:{server.port}/v1/models", key],
            capture_output=True, text=True, timeout=20, check=False,
        )
        assert done.stdout.strip() == "200", (done.stdout, done.stderr)


ASK = ("import sys, urllib.request as u; "
       "r = u.Request(sys.argv[1], headers={'authorization': 'Bearer ' + sys.argv[2]}); "
       "print(u.urlopen(r, timeout=10).status)")


def files_with_secrets_are_private():
    with Serving() as server:
        for name in os.listdir(server.cwd):
            if name.startswith("mainstay"):
                mode = os.stat(os.path.join(server.cwd, name)).st_mode & 0o077
                assert mode == 0, f"{name} can be read by others: {mode:o}"


def it_stops_when_asked():
    for name in (signal.SIGTERM, signal.SIGINT):
        with Serving() as server:
            began = time.monotonic()
            server.process.send_signal(name)
            code = server.process.wait(15)
            assert code == 0, (name, code, server.output())
            assert time.monotonic() - began < 10, "an idle server takes long to stop"


def a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        admin = f"127.0.0.1:{free_port()}"
        code, _, errors = run("serve", "--listen", f"127.0.0.1:{port}", "--admin-listen", admin)
    assert code == 3 and str(port) in errors and "in use" in errors, (code, errors)
    no_panic(errors)


def a_config_that_is_not_there_is_named():
    code, _, errors = serve_once("--config", "no/such/file.toml", cwd=directory())
    assert code == 3 and "no/such/file.toml" in errors, (code, errors)
    no_panic(errors)


def a_config_that_is_not_toml_is_told_with_its_line():
    cwd = directory()
    write(cwd, "[server]\nlisten = \n")
    code, _, errors = serve_once(cwd=cwd)
    assert code == 3 and "mainstay.toml:2" in errors, (code, errors)
    no_panic(errors)


def an_unknown_key_is_told_with_the_nearest_one():
    cwd = directory()
    path = write(cwd, '[policy.retry]\nattempts_mx = 2\n')
    code, out, errors = run("config", "check", path, cwd=cwd)
    told = out + errors
    assert code == 1 and "attempts_mx" in told and "attempts_max" in told and ":2" in told, (code, told)
    code, _, errors = serve_once(cwd=cwd)
    assert code == 3 and "attempts_max" in errors, (code, errors)


def an_impossible_value_is_refused():
    cwd = directory()
    path = write(cwd, "[policy.retry]\nattempts_max = 0\n")
    code, out, errors = run("config", "check", path, cwd=cwd)
    assert code == 1 and "attempts_max" in out + errors, (code, out, errors)


def a_sound_config_is_said_to_be_sound():
    cwd = directory()
    path = write(cwd, '[[provider]]\nname = "a"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "sk-x"\n')
    code, out, errors = run("config", "check", path, cwd=cwd)
    assert code == 0 and "sk-x" not in out + errors, (code, out, errors)


def a_written_config_is_sound():
    cwd = directory()
    code, out, errors = run("config", "init", cwd=cwd)
    assert code == 0, (code, out, errors)
    made = [name for name in os.listdir(cwd) if name.endswith(".toml")]
    path = os.path.join(cwd, made[0]) if made else write(cwd, out)
    # It takes the provider's key from the environment, as its comments say.
    code, out, errors = run("config", "check", path, cwd=cwd, OPENAI_API_KEY="sk-from-the-environment")
    assert code == 0, (code, out, errors)
    assert "sk-from" not in out + errors, "the key was printed"


PROVIDERS = {
    "openai": "OPENAI_API_KEY", "azure": "AZURE_OPENAI_API_KEY", "groq": "GROQ_API_KEY", "mistral": "MISTRAL_API_KEY",
    "together": "TOGETHER_API_KEY", "openrouter": "OPENROUTER_API_KEY", "gemini": "GEMINI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY", "deepseek": "DEEPSEEK_API_KEY", "xai": "XAI_API_KEY", "vllm": None, "sglang": None,
    "llamacpp": None, "ollama": None, "litellm": "LITELLM_API_KEY",
}


def a_config_for_each_provider_is_written_and_sound():
    for provider, variable in PROVIDERS.items():
        cwd = directory()
        code, out, errors = run("config", "init", "--provider", provider, "--output", "m.toml", cwd=cwd)
        assert code == 0, (provider, code, out, errors)
        with open(os.path.join(cwd, "m.toml"), encoding="utf-8") as file:
            text = file.read()
        assert f'kind = "{provider}"' in text, (provider, text)
        for word in ("auth:", "limits:", "errors:", "refuses:"):
            assert f"#   {word} " in text, (provider, word, text)
        keys = {variable: "sk-from-the-environment"} if variable else {}
        code, out, errors = run("config", "check", "m.toml", cwd=cwd, **keys)
        assert code == 0 and "is sound: providers 1" in out, (provider, code, out, errors)
        if variable:
            assert variable in text and "sk-from" not in out + errors, (provider, out, errors)


def a_store_that_cannot_be_opened_is_named():
    cwd = directory()
    os.mkdir(os.path.join(cwd, "mainstay.db"))
    code, _, errors = serve_once(cwd=cwd)
    assert code == 3 and "mainstay.db" in errors, (code, errors)
    no_panic(errors)


def killed_and_started_again():
    with Serving() as server:
        server.key()
        cwd = server.cwd
        server.process.kill()
        server.process.wait()
    with Serving(cwd=cwd) as server:
        assert server.stop() == 0, server.output()


def the_simulator_alone():
    port = free_port()
    command = [BIN, "sim", "--listen", f"127.0.0.1:{port}"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environment(), cwd=directory(), **pipes) as process:
        try:
            end = time.monotonic() + 10
            while subprocess.run(
                ["python3", "-c", ASK, f"http://127.0.0.1:{port}/v1/models", "sk-any"],
                capture_output=True, text=True, timeout=20, check=False,
            ).stdout.strip() != "200":
                assert time.monotonic() < end and process.poll() is None, "the simulator gives no answer"
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def no_panic(errors):
    """The text is for people."""
    for word in ("panicked", "RUST_BACKTRACE", "unwrap"):
        assert word not in errors, errors


CASES = [(f.__name__, f) for f in (
    a_first_run_needs_nothing_and_its_curl_line_works, a_second_run_keeps_the_key_and_does_not_print_it,
    files_with_secrets_are_private, it_stops_when_asked, a_port_in_use_is_named,
    a_config_that_is_not_there_is_named, a_config_that_is_not_toml_is_told_with_its_line,
    an_unknown_key_is_told_with_the_nearest_one, an_impossible_value_is_refused,
    a_sound_config_is_said_to_be_sound, a_written_config_is_sound, a_config_for_each_provider_is_written_and_sound,
    a_store_that_cannot_be_opened_is_named, killed_and_started_again, the_simulator_alone,
)]
