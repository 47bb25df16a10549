//! A GPU by the CUDA driver. Never yet run: no machine with one was at hand.

use super::{Launch, Machine, Plain, bytes};
use cudarc::driver::sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, DriverError, result};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The kernels' code, a file for each source.
const CODE: &[&[u8]] = &include!(concat!(env!("OUT_DIR"), "/fatbins.in"));

/// Blocks of one warp on a multiprocessor at once: what the shared memory of `attend_few` leaves room for.
const BLOCKS_AT_ONCE: usize = 6;

/// A GPU with the kernels loaded, whose work goes into one stream.
pub struct Gpu {
    stream: Arc<CudaStream>,
    modules: Vec<Arc<CudaModule>>,
    functions: Mutex<HashMap<String, CudaFunction>>,
    multiprocessors: usize,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("ordinal", &self.stream.context().ordinal()).finish_non_exhaustive()
    }
}

impl Gpu {
    /// The GPU of this number, with a stream of its own.
    ///
    /// # Errors
    /// When it is not there or cannot be used.
    pub fn open(number: usize) -> Result<Self, DriverError> {
        Self::new(CudaContext::new(number)?.default_stream())
    }

    /// Its name, as the driver gives it.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn name(&self) -> Result<String, DriverError> {
        self.stream.context().name()
    }

    /// Waits for all that was launched.
    ///
    /// # Errors
    /// When any of it failed.
    pub fn synchronize(&self) -> Result<(), DriverError> {
        self.stream.synchronize()
    }

    /// Loads the kernels on the stream's GPU.
    ///
    /// # Errors
    /// When the driver does not take them, as for a GPU older than sm_80.
    pub fn new(stream: Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = stream.context();
        let modules = CODE.iter().map(|code| context.load_module(Ptx::from_binary(code.to_vec())));
        let modules = modules.collect::<Result<_, _>>()?;
        let multiprocessors = context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1) as usize;
        Ok(Self { modules, functions: Mutex::default(), multiprocessors, stream })
    }

    fn function(&self, name: &str) -> Result<CudaFunction, DriverError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(name) {
            return Ok(function.clone());
        }
        let mut missing = None;
        for module in &self.modules {
            match module.load_function(name) {
                Ok(function) => {
                    functions.insert(name.to_owned(), function.clone());
                    return Ok(function);
                }
                Err(error) => missing = Some(error),
            }
        }
        Err(missing.unwrap_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_NOT_FOUND)))
    }
}

impl Machine for Gpu {
    type Error = DriverError;
    type Buffer = CudaSlice<u8>;

    fn upload<T: Plain>(&self, data: &[T]) -> Result<CudaSlice<u8>, DriverError> {
        if data.is_empty() { self.room(1) } else { self.stream.clone_htod(bytes(data)) }
    }

    fn room(&self, bytes: usize) -> Result<CudaSlice<u8>, DriverError> {
        // SAFETY: any bytes are bytes; that kernels write them before they read them is the emulation's to show, where room is NaN.
        unsafe { self.stream.alloc(bytes.max(1)) }
    }

    fn download<T: Plain>(&self, buffer: &CudaSlice<u8>) -> Result<Vec<T>, DriverError> {
        let bytes = self.stream.clone_dtoh(buffer)?;
        // SAFETY: plain values are whatever their bytes are; the vector may begin anywhere.
        let value = |at: &[u8]| unsafe { at.as_ptr().cast::<T>().read_unaligned() };
        Ok(bytes.chunks_exact(size_of::<T>()).map(value).collect())
    }

    fn address(&self, buffer: &CudaSlice<u8>) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    fn wanted_blocks(&self) -> usize {
        self.multiprocessors * BLOCKS_AT_ONCE
    }

    unsafe fn launch<A: Plain>(&self, launch: Launch<'_>, arguments: &A) -> Result<(), DriverError> {
        let function = self.function(launch.kernel)?;
        self.stream.context().bind_to_thread()?;
        let [x, y, z] = launch.blocks.map(|count| count as u32);
        let mut parameters = [std::ptr::from_ref(arguments).cast_mut().cast()];
        // SAFETY: the kernel takes one structure by value, which the driver copies before this returns; the caller vouches for it.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (x, y, z),
                (launch.threads as u32, 1, 1),
                launch.shared as u32,
                self.stream.cu_stream(),
                &mut parameters,
            )
        }
    }
}
