//! Adapters and devices.

use super::wait::{self, Waiting};
use crate::error::{Error, Result};
use crate::graph::{Caps, Family};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The name of the adapter that was opened last, for reports of faults.
static OPENED: Mutex<Option<String>> = Mutex::new(None);

/// The name of the adapter that this program opened last; None if it has opened none.
pub fn last_adapter() -> Option<String> {
    OPENED.lock().ok()?.clone()
}

/// How to get an adapter. It is said wherever none is found.
pub const GET_ADAPTER: &str = "install a graphics driver with Vulkan support, or the software adapter: `apt-get install mesa-vulkan-drivers` on Debian \
     and Ubuntu, `dnf install mesa-vulkan-drivers` on Fedora; Metal and DX12 come with macOS and Windows";

/// What `pumice devices` prints of an adapter.
#[derive(Clone, Debug)]
pub struct AdapterLine {
    /// Position in the list, accepted by `--device`.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// Vulkan, Metal or Dx12.
    pub backend: String,
    /// DiscreteGpu, IntegratedGpu, VirtualGpu, Cpu or Other.
    pub kind: String,
    /// Driver name and version.
    pub driver: String,
    /// Limits and features that planning needs.
    pub caps: Caps,
    /// Whether `choice` means this one.
    pub used: bool,
}

/// The instance of the process. It is never dropped: a Vulkan driver that is unloaded takes with it the code that other
/// threads run when they end (NVIDIA's crashes so), and after some rounds of loading it finds no adapter any more.
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(new_instance)
}

fn new_instance() -> wgpu::Instance {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
    desc.backends = wgpu::Backends::PRIMARY;
    desc.flags = wgpu::InstanceFlags::empty();
    wgpu::Instance::new(desc)
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    instance().enumerate_adapters(wgpu::Backends::PRIMARY).await
}

/// Lower is better: GPUs come before software adapters. Among equals the first wins.
fn rank(adapter: &wgpu::Adapter) -> u32 {
    match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn is_software(adapter: &wgpu::Adapter) -> bool {
    adapter.get_info().device_type == wgpu::DeviceType::Cpu
}

/// The adapter that a choice means: an index, part of a name, `software`, or None for the best.
fn choose(list: &[wgpu::Adapter], choice: Option<&str>) -> Result<usize> {
    let names: Vec<String> = list.iter().enumerate().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
    let unknown = |text: &str| {
        let hint = format!("choose one of: {} (or `software`)", names.join(", "));
        Error::usage(format!("there is no device `{text}`"), hint)
    };
    if list.is_empty() {
        return Err(Error::gpu("adapter", "no adapter that WebGPU reaches was found", GET_ADAPTER));
    }
    let Some(text) = choice.filter(|t| !t.is_empty()) else {
        return Ok((0..list.len()).min_by_key(|&i| rank(&list[i])).expect("the list is not empty"));
    };
    if text.eq_ignore_ascii_case("software") {
        let found = list.iter().position(is_software);
        return found.ok_or_else(|| Error::gpu("adapter", "no software adapter was found", GET_ADAPTER));
    }
    if let Ok(index) = text.parse::<usize>() {
        return if index < list.len() { Ok(index) } else { Err(unknown(text)) };
    }
    let wanted = text.to_lowercase();
    let found = list.iter().position(|a| a.get_info().name.to_lowercase().contains(&wanted));
    found.ok_or_else(|| unknown(text))
}

/// The kernels that suit a kind of adapter. `PUMICE_VARIANT` (`gpu` or
/// `software`) forces either, so that tests reach them on any adapter.
fn family(software: bool) -> Family {
    match std::env::var("PUMICE_VARIANT").as_deref() {
        Ok("gpu") => Family::Gpu,
        Ok("software") => Family::Software,
        _ if software => Family::Software,
        _ => Family::Gpu,
    }
}

fn caps(adapter: &wgpu::Adapter, limits: &wgpu::Limits, features: wgpu::Features) -> Caps {
    let (least, most) = (adapter.get_info().subgroup_min_size, adapter.get_info().subgroup_max_size);
    // Only lavapipe was measured. Other software adapters may move elements in other ways.
    let vulkan = adapter.get_info().backend == wgpu::Backend::Vulkan;
    Caps {
        name: adapter.get_info().name,
        software: is_software(adapter),
        max_binding: limits.max_storage_buffer_binding_size & !255,
        max_buffer: limits.max_buffer_size,
        max_groups: limits.max_compute_workgroups_per_dimension,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        subgroup: if features.contains(wgpu::Features::SUBGROUP) && least == most { most } else { 0 },
        words: is_software(adapter) && vulkan && features.contains(wgpu::Features::SHADER_INT64),
        family: family(is_software(adapter)),
    }
}

/// Lists all adapters, and marks the one that `choice` means.
///
/// # Errors
/// An unknown choice. No adapter at all is an empty list.
pub async fn adapters(choice: Option<&str>) -> Result<Vec<AdapterLine>> {
    let list = enumerate().await;
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let used = choose(&list, choice)?;
    let line = |(index, adapter): (usize, &wgpu::Adapter)| {
        let info = adapter.get_info();
        AdapterLine {
            index,
            name: info.name,
            backend: format!("{:?}", info.backend),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            caps: caps(adapter, &adapter.limits(), adapter.features()),
            used: index == used,
        }
    };
    Ok(list.iter().enumerate().map(line).collect())
}

/// What to ask of an adapter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limits {
    /// All that the adapter offers and kernels can use.
    Raised,
    /// WebGPU's default limits without features, which every adapter has.
    Default,
}

/// An open device. Clones are the same device: several trainers and networks can use it at a time.
#[derive(Clone)]
pub struct Device {
    adapter: wgpu::Adapter,
    limits: Limits,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    #[cfg(not(target_arch = "wasm32"))]
    waiter: Arc<wait::Waiter>,
    caps: Caps,
    trouble: Arc<Mutex<Trouble>>,
    /// Bytes that a session may hold. Only tests set it: what an adapter has, WebGPU does not say.
    most: Arc<AtomicU64>,
}

/// What the driver has reported.
#[derive(Default)]
struct Trouble {
    /// The first error since somebody asked.
    error: Option<String>,
    /// Why the device is lost. It stays so.
    lost: Option<String>,
}

impl Device {
    /// Opens the adapter that `choice` means: an index, part of a name, `software`, or None for the best.
    ///
    /// # Errors
    /// No adapter, an unknown choice, or a driver that refuses.
    pub async fn open(choice: Option<&str>) -> Result<Device> {
        Device::open_with(choice, Limits::Raised).await
    }

    /// As [`Device::open`], with a choice of limits.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub async fn open_with(choice: Option<&str>, limits: Limits) -> Result<Device> {
        let mut list = enumerate().await;
        let adapter = list.swap_remove(choose(&list, choice)?);
        Device::of(adapter, limits).await
    }

    /// A new device of the same adapter, with the same limits, for one that is lost.
    ///
    /// # Errors
    /// A driver that refuses.
    pub async fn reopen(&self) -> Result<Device> {
        let fresh = Device::of(self.adapter.clone(), self.limits).await?;
        Ok(Device { caps: self.caps.clone(), ..fresh })
    }

    async fn of(adapter: wgpu::Adapter, limits: Limits) -> Result<Device> {
        let offered = adapter.limits();
        let mut wanted = wgpu::Limits::default();
        let mut features = wgpu::Features::empty();
        if limits == Limits::Raised {
            wanted.max_buffer_size = offered.max_buffer_size;
            wanted.max_storage_buffer_binding_size = offered.max_storage_buffer_binding_size;
            wanted.max_compute_invocations_per_workgroup = offered.max_compute_invocations_per_workgroup;
            wanted.max_compute_workgroup_size_x = offered.max_compute_workgroup_size_x;
            wanted.max_compute_workgroup_storage_size = offered.max_compute_workgroup_storage_size;
            wanted.max_compute_workgroups_per_dimension = offered.max_compute_workgroups_per_dimension;
            wanted.max_storage_buffers_per_shader_stage = offered.max_storage_buffers_per_shader_stage;
            // Timestamps are for profiles. They cost nothing where none is written.
            let stamps = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
            features = adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_INT64 | stamps);
        }
        let name = adapter.get_info().name;
        if let Ok(mut opened) = OPENED.lock() {
            *opened = Some(name.clone());
        }
        let desc = wgpu::DeviceDescriptor {
            required_features: features,
            required_limits: wanted.clone(),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&desc).await.map_err(|e| {
            Error::gpu(&name, format!("the driver refuses a device: {e}"), "choose another with --device")
        })?;
        let trouble: Arc<Mutex<Trouble>> = Arc::default();
        let note = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            if let Ok(mut trouble) = note.lock() {
                // The first error is the cause. Later ones follow from it.
                trouble.error.get_or_insert(e.to_string());
            }
        }));
        let note = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed
                && let Ok(mut trouble) = note.lock()
            {
                trouble.lost.get_or_insert(format!("the device was lost: {text}"));
            }
        });
        let caps = caps(&adapter, &wanted, features);
        Ok(Device {
            adapter,
            limits,
            device,
            queue,
            #[cfg(not(target_arch = "wasm32"))]
            waiter: Arc::new(wait::Waiter::new()),
            caps,
            trouble,
            most: Arc::new(AtomicU64::new(u64::MAX)),
        })
    }

    /// The same device with other caps. With it tests reach every family of kernels, and small limits, on any adapter.
    pub fn with_caps(mut self, change: impl FnOnce(&mut Caps)) -> Device {
        change(&mut self.caps);
        self
    }

    /// The adapter's name, such as `NVIDIA H100 80GB HBM3`.
    pub fn name(&self) -> &str {
        &self.caps.name
    }

    /// What the device can do.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// An error that names this adapter.
    pub fn error(&self, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::gpu(&self.caps.name, what, hint)
    }

    /// Fails if the driver reported an error since the last call.
    ///
    /// # Errors
    /// A lost device, exhausted memory or a refused command.
    pub fn check(&self) -> Result<()> {
        let text = self.trouble.lock().ok().and_then(|mut t| t.error.take().or_else(|| t.lost.clone()));
        match text {
            None => Ok(()),
            Some(text) => Err(self
                .error(text, "go on from the last checkpoint with --resume, with a smaller batch if memory ran out")),
        }
    }

    /// Whether the driver has lost the device. It stays so: [`Device::reopen`] makes another.
    pub fn is_lost(&self) -> bool {
        self.trouble.lock().is_ok_and(|trouble| trouble.lost.is_some())
    }

    /// From now on, the wait number `waits` ends as if the driver had lost the device. For tests.
    #[doc(hidden)]
    #[cfg(not(target_arch = "wasm32"))]
    pub fn lose_after(&self, waits: u64) {
        self.waiter.lose_after(waits);
    }

    /// From now on, a session is refused what it asks for beyond so many bytes, as by a driver without more memory. For
    /// tests.
    #[doc(hidden)]
    pub fn refuse_over(&self, bytes: u64) {
        self.most.store(bytes, Ordering::Relaxed);
    }

    /// Whether a session is refused so many bytes.
    pub(super) fn refuses(&self, bytes: u64) -> bool {
        bytes > self.most.load(Ordering::Relaxed)
    }

    /// A wait for a submission. Its time begins now, even if nobody looks.
    pub(super) fn waiting(&self, submission: wgpu::SubmissionIndex) -> Waiting {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let trouble = Arc::clone(&self.trouble);
            self.waiter.wait(&self.device, submission, move |why| {
                if let Ok(mut trouble) = trouble.lock() {
                    trouble.lost.get_or_insert(format!("the device was lost: {why}"));
                }
            })
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = submission;
            wait::wait(&self.queue)
        }
    }

    /// The end of a wait.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub(super) async fn waited(&self, waiting: Waiting) -> Result<()> {
        let waited = waiting.get().await;
        self.check()?;
        let why = match waited {
            Some(Ok(())) => return Ok(()),
            Some(Err(e)) => e,
            None => "the thread that waits for it has ended".into(),
        };
        let hint = "go on from the last checkpoint with --resume, with a smaller batch";
        Err(self.error(format!("the adapter does not answer: {why}"), hint))
    }
}
