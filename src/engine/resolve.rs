//! [`CreateOptions`](crate::model::create::CreateOptions), image and configuration become a
//! [`ContainerSpec`](crate::model::container::ContainerSpec) with every default written out.
