//! Debian's nginx as a plain reverse proxy: the yardstick of `cargo xtask bench`.

use crate::process::{end_group, signal};
use crate::server::{free_address, get};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running nginx; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Starts nginx on one core, with one worker, in front of `upstream`.
    ///
    /// # Errors
    ///
    /// Why it did not start.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        upstream: SocketAddr,
        core: u32,
    ) -> Result<Nginx, String> {
        let address = free_address()?;
        let file = directory.join("nginx.conf");
        fs::write(&file, config(directory, address, upstream))
            .map_err(|e| format!("write {}: {e}", file.display()))?;
        let log = File::create(directory.join("nginx.log")).map_err(|e| format!("log: {e}"))?;
        let errors = log.try_clone().map_err(|e| format!("log: {e}"))?;
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program).arg("-c").arg(&file);
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|e| format!("start nginx: {e}"))?;
        let nginx = Nginx { child, address };
        let began = Instant::now();
        while get(address, "/v1/models").is_none() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(format!("nginx gives no answer; see {}", directory.display()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// The master process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        signal("TERM", &self.child.id().to_string());
        sleep(Duration::from_millis(300));
        end_group(&mut self.child);
    }
}

/// Production settings of a streaming proxy: connections to the upstream kept, answers passed on
/// as they come, no access log.
fn config(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let place = directory.display();
    format!(
        "worker_processes 1;
worker_rlimit_nofile 40000;
error_log stderr error;
pid {place}/nginx.pid;
daemon off;
events {{ worker_connections 32768; }}
http {{
  access_log off;
  client_body_temp_path {place}/nginx-body;
  proxy_temp_path {place}/nginx-proxy;
  fastcgi_temp_path {place}/nginx-fastcgi;
  uwsgi_temp_path {place}/nginx-uwsgi;
  scgi_temp_path {place}/nginx-scgi;
  tcp_nodelay on;
  keepalive_requests 10000000;
  upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 10000000; }}
  server {{
    listen {listen} backlog=4096;
    client_max_body_size 64m;
    client_body_buffer_size 64k;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"
    )
}
