//! Where to compute: `cpu`, `cuda` or `cuda:N`.

use super::failure::{Failure, Kind, Result};
use std::fmt;
use std::str::FromStr;

/// What `--device` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// This machine's processor
    Cpu,
    /// The NVIDIA GPU of this number
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.strip_prefix("cuda") {
            _ if text == "cpu" => Ok(Self::Cpu),
            Some("") => Ok(Self::Cuda(0)),
            Some(number) => number
                .strip_prefix(':')
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "a GPU is named by its number, as in cuda:1".to_owned()),
            None => Err("expected cpu, cuda or cuda:N".to_owned()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Device {
    /// Opens it.
    ///
    /// # Errors
    /// With exit code 2 where this build has no GPU, or the machine not that one.
    pub(super) fn open(self) -> Result<candle_core::Device> {
        let Self::Cuda(number) = self else { return Ok(candle_core::Device::Cpu) };
        if !cfg!(feature = "cuda") {
            return Err(Failure::new(Kind::Usage, format!("--device {self}: this build runs on the CPU only"))
                .hint("`cargo build --release --features cuda` makes one that runs on NVIDIA GPUs"));
        }
        candle_core::Device::new_cuda(number).map_err(|error| {
            Failure::new(Kind::Usage, format!("--device {self}: {error}"))
                .hint("`nvidia-smi` lists the GPUs; --device cpu runs on the processor")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, device) in [("cpu", Device::Cpu), ("cuda", Device::Cuda(0)), ("cuda:3", Device::Cuda(3))] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda3", "cuda:-1", "CPU", "cpu:0"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }
}
