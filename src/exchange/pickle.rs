//! The part of Python's pickle format that a file of tensors needs. Nothing that is in a file is ever run: a name of Python
//! is kept as a name, and whoever reads the result decides which names mean something.
//! Source: Python's `pickletools`, protocols 2 to 4.

use std::collections::HashMap;
use std::rc::Rc;

/// Most operations, and most objects on the stack.
const MOST: usize = 4_000_000;

/// What a pickle holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Object {
    /// None.
    #[default]
    None,
    /// True or False.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A tuple or a list, by its number in [`Pickle::lists`].
    List(usize),
    /// A dictionary, by its number in [`Pickle::dicts`].
    Dict(usize),
    /// A name of Python, as `module.name`.
    Global(Rc<str>),
    /// What a name of Python would make of arguments, by its number in [`Pickle::calls`].
    Call(usize),
    /// A reference to something outside, as PyTorch writes storages, by its number in [`Pickle::persistent`].
    Persistent(usize),
}

/// A pickle that was read. Objects that hold others are kept in lists, so that none is nested, however deep they are.
#[derive(Debug, Default)]
pub struct Pickle {
    /// The object.
    pub root: Object,
    /// Dictionaries: keys and values in the order of the file.
    pub dicts: Vec<Vec<(Object, Object)>>,
    /// Tuples and lists.
    pub lists: Vec<Vec<Object>>,
    /// Names of Python, and the arguments that they are called with.
    pub calls: Vec<(Object, Object)>,
    /// What references refer to.
    pub persistent: Vec<Object>,
}

enum Item {
    Object(Object),
    Mark,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Item>,
    memo: HashMap<u64, Object>,
    found: Pickle,
    allowed: &'a [&'a str],
}

/// Reads a pickle. `allowed` are the names of Python that may be in it.
///
/// # Errors
/// What is wrong with it: a name that is not allowed, an operation that tensors do not need, or damage.
pub fn read(bytes: &[u8], allowed: &[&str]) -> Result<Pickle, String> {
    let found = Pickle::default();
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memo: HashMap::new(), found, allowed };
    for _ in 0..MOST {
        let code = machine.take(1)?[0];
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { root, ..machine.found });
        }
        machine.run(code)?;
    }
    Err(format!("it has over {MOST} operations"))
}

impl<'a> Machine<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("its list of tensors is cut off")?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn number(&mut self, len: usize) -> Result<u64, String> {
        Ok(self.take(len)?.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or("a line in it has no end")?;
        let line = self.take(len)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name in it is not UTF-8".to_string())
    }

    fn text(&mut self, len: u64) -> Result<Object, String> {
        let len = usize::try_from(len).map_err(|_| "a text in it is too long")?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| "a text in it is not UTF-8")?;
        Ok(Object::Text(text.into()))
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Item::Object(object));
    }

    fn pop(&mut self) -> Result<Object, String> {
        match self.stack.pop() {
            Some(Item::Object(object)) => Ok(object),
            _ => Err("its operations do not fit together".into()),
        }
    }

    fn top(&self) -> Result<&Object, String> {
        match self.stack.last() {
            Some(Item::Object(object)) => Ok(object),
            _ => Err("its operations do not fit together".into()),
        }
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Object>, String> {
        let mark = self.stack.iter().rposition(|item| matches!(item, Item::Mark)).ok_or("a mark is missing in it")?;
        let above = self.stack.drain(mark..).skip(1);
        let objects = above.map(|item| match item {
            Item::Object(object) => object,
            Item::Mark => unreachable!("the last mark is the first"),
        });
        Ok(objects.collect())
    }

    fn list(&mut self, objects: Vec<Object>) {
        self.found.lists.push(objects);
        self.push(Object::List(self.found.lists.len() - 1));
    }

    fn dict(&mut self, pairs: Vec<(Object, Object)>) -> Object {
        self.found.dicts.push(pairs);
        Object::Dict(self.found.dicts.len() - 1)
    }

    /// The pairs of the dictionary on top.
    fn add(&mut self, objects: Vec<Object>) -> Result<(), String> {
        let Object::Dict(number) = *self.top()? else {
            return Err("it stores an item in what is no dictionary".into());
        };
        let mut objects = objects.into_iter();
        while let (Some(key), Some(value)) = (objects.next(), objects.next()) {
            self.found.dicts[number].push((key, value));
        }
        Ok(())
    }

    fn append(&mut self, objects: Vec<Object>) -> Result<(), String> {
        let Object::List(number) = *self.top()? else { return Err("it appends to what is no list".into()) };
        self.found.lists[number].extend(objects);
        Ok(())
    }

    fn global(&mut self, name: String) -> Result<Object, String> {
        match self.allowed.contains(&name.as_str()) {
            true => Ok(Object::Global(name.into())),
            false => Err(format!("it names `{name}`, which no list of tensors needs; nothing of it is run")),
        }
    }

    /// What a call gives: a new dictionary for OrderedDict, else a note of the call.
    fn call(&mut self, function: Object, arguments: Object) -> Object {
        match &function {
            Object::Global(name) if &**name == "collections.OrderedDict" => self.dict(Vec::new()),
            _ => {
                self.found.calls.push((function, arguments));
                Object::Call(self.found.calls.len() - 1)
            }
        }
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        let top = self.top()?.clone();
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let known = self.memo.get(&key).cloned().ok_or("it recalls what it never stored")?;
        self.push(known);
        Ok(())
    }

    fn run(&mut self, code: u8) -> Result<(), String> {
        match code {
            // Protocol and frame.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.stack.push(Item::Mark),
            b'N' => self.push(Object::None),
            0x88 | 0x89 => self.push(Object::Bool(code == 0x88)),
            b'K' | b'M' => {
                let n = self.number(if code == b'K' { 1 } else { 2 })?;
                self.push(Object::Int(n as i64));
            }
            b'J' => {
                let n = self.number(4)? as u32 as i32;
                self.push(Object::Int(i64::from(n)));
            }
            0x8a => {
                let len = self.number(1)? as usize;
                if len > 8 {
                    return Err("a number in it does not fit 64 bits".into());
                }
                let n = self.number(len)?;
                let unused = 64 - 8 * len as u32;
                self.push(Object::Int(if len == 0 { 0 } else { (n << unused) as i64 >> unused }));
            }
            b'G' => {
                let bits = self.take(8)?.iter().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
                self.push(Object::Float(f64::from_bits(bits)));
            }
            b'X' | 0x8c => {
                let len = self.number(if code == b'X' { 4 } else { 1 })?;
                let text = self.text(len)?;
                self.push(text);
            }
            b')' | b']' => self.list(Vec::new()),
            b't' => {
                let objects = self.marked()?;
                self.list(objects);
            }
            0x85..=0x87 => {
                let mut objects = Vec::new();
                for _ in 0..code - 0x84 {
                    objects.insert(0, self.pop()?);
                }
                self.list(objects);
            }
            b'a' => {
                let one = self.pop()?;
                self.append(vec![one])?;
            }
            b'e' => {
                let objects = self.marked()?;
                self.append(objects)?;
            }
            b'}' => {
                let dict = self.dict(Vec::new());
                self.push(dict);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.add(vec![key, value])?;
            }
            b'u' => {
                let objects = self.marked()?;
                self.add(objects)?;
            }
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                let global = self.global(name)?;
                self.push(global);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(name), Object::Text(module)) = (name, module) else {
                    return Err("a name in it is no text".into());
                };
                let global = self.global(format!("{module}.{name}"))?;
                self.push(global);
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let made = self.call(function, arguments);
                self.push(made);
            }
            // The state of an object, such as the `_metadata` of a state_dict, does not matter here.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.found.persistent.push(id);
                self.push(Object::Persistent(self.found.persistent.len() - 1));
            }
            b'q' => self.number(1).and_then(|key| self.remember(key))?,
            b'r' => self.number(4).and_then(|key| self.remember(key))?,
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => self.number(1).and_then(|key| self.recall(key))?,
            b'j' => self.number(4).and_then(|key| self.recall(key))?,
            b'0' => drop(self.pop()?),
            other => return Err(format!("it has the operation {other:#04x}, which no list of tensors needs")),
        }
        Ok(())
    }
}
